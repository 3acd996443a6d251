"""PyPI's python-gitlab, unmodified, as the author of a script would use it.

The scripts stand in `tests/e2e/python_gitlab/` and run in an environment of their own.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.e2e import components, prepared_databases
from tests.e2e.installation import Installation
from tests.e2e.postgresql import Server

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("python-gitlab")]

SCRIPTS = Path(__file__).parent / "python_gitlab"


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One of its own for each engine, since a script counts what is there."""
    settings = {}
    server = None
    if request.param == "postgresql":
        components.require("postgresql")
        server = Server()
        server.start()
        settings = prepared_databases.prepared(server, "asked")
    folder = tmp_path_factory.mktemp(f"python-gitlab-{request.param}")
    made = Installation(folder, BERTH__PROCESSES="1", **settings)
    try:
        made.start()
        yield made
    finally:
        made.discard()
        if server is not None:
            server.stop()


@pytest.mark.parametrize("script", sorted(path.stem for path in SCRIPTS.glob("*.py")))
def test_a_script(installation: Installation, run_python_gitlab: Any, script: str) -> None:
    code = (SCRIPTS / f"{script}.py").read_text()
    said = run_python_gitlab(
        code,
        GITLAB_URL=installation.url,
        GITLAB_TOKEN=installation.api_token("root"),
        REGISTRY=installation.registry,
    )
    assert said.strip().endswith("done"), said
