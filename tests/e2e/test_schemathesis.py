"""schemathesis against the description of the API: whatever is sent, the answer is a described one.

It has an environment of its own (``make schemathesis``), and a bound; `slow` runs take longer.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import components, prepared_databases
from tests.e2e.installation import PROJECT, Installation
from tests.e2e.postgresql import Server

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("schemathesis")]

PROGRAM = PROJECT / ".venv-schemathesis" / "bin" / "schemathesis"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
NOT_ASKED = r"personal_access_tokens/(self|\{id\})"
"""What would take the token away that it asks with."""


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def installation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """One of its own for each engine: much is made and deleted in it."""
    if not PROGRAM.exists():
        reason = "there is no .venv-schemathesis; make schemathesis makes it"
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    settings: dict[str, str] = {}
    server = None
    if request.param == "postgresql":
        components.require("postgresql")
        server = Server()
        server.start()
        settings = prepared_databases.prepared(server, "asked")
    made = Installation(
        tmp_path_factory.mktemp(f"schemathesis-{request.param}"), BERTH__PROCESSES="1", **settings
    )
    try:
        made.start()
        for name in ("alice", "bob"):
            made.create_user(name)
        made.create_project("alice/app", owner="alice", visibility="public")
        yield made
    finally:
        made.discard()
        if server is not None:
            server.stop()


def ask(installation: Installation, folder: Path, token: str, *options: str) -> None:
    """Run it; whatever it finds is the failure's message."""
    ran = subprocess.run(
        [
            str(PROGRAM), "run", f"{installation.url}/api/v4/openapi.json",
            "--checks", ",".join(CHECKS), "--exclude-path-regex", NOT_ASKED,
            "--suppress-health-check", "all", "--request-timeout", "30", "--warnings", "off",
            *(["-H", f"PRIVATE-TOKEN: {token}"] if token else []), *options,
        ],
        cwd=folder, capture_output=True, text=True, timeout=1800,
    )  # fmt: skip
    assert ran.returncode == 0, (ran.stdout + ran.stderr)[-20_000:]
    faults = [line for line in installation.log().splitlines() if "Traceback" in line]
    assert not faults, installation.log()[-5000:]


@pytest.mark.parametrize(
    "who",
    [
        "root",
        pytest.param("alice", marks=pytest.mark.slow),
        pytest.param("nobody", marks=pytest.mark.slow),
    ],
)
def test_a_bounded_run(installation: Installation, tmp_path: Path, who: str) -> None:
    """Some examples of each operation, the same in each run.

    What doesn't suit the description is sent where PostgreSQL keeps the rows: it refuses what is
    too long or too large for a column, and SQLite takes it.
    """
    token = installation.api_token(who) if who != "nobody" else ""
    options = ["--phases", "coverage,fuzzing", "--max-examples", "2", "--seed", "12", "--no-shrink"]
    is_strict = "BERTH__DATABASE_URL" in installation.settings
    ask(installation, tmp_path, token, "--mode", "all" if is_strict else "positive", *options)


@pytest.mark.slow
def test_a_long_run(installation: Installation, tmp_path: Path) -> None:
    """Many examples, others in each run, and what follows from what."""
    token = installation.api_token("root")
    ask(installation, tmp_path, token, "--max-examples", "100", "--max-time", "900")
