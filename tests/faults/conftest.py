"""One running installation an engine, for all faults that leave it as they found it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import components
from tests.e2e.installation import Installation
from tests.e2e.postgresql import Server
from tests.faults import nodes
from tests.faults.load import Journal


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def stack(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings of a stack. A PostgreSQL of its own may be stopped and started by a test."""
    if request.param == "sqlite":
        yield {}
        return
    components.require("postgresql")
    server = Server()
    try:
        server.start()
        yield nodes.databases(server, "faults")
    finally:
        server.stop()


@pytest.fixture(scope="module")
def running(
    stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A node in which garbage goes after seconds."""
    berth = Installation(tmp_path_factory.mktemp("node"), **nodes.QUICK, **stack)
    berth.start()
    yield berth
    berth.stop()


@pytest.fixture
def node(running: Installation) -> Installation:
    """The node. What a test before has done to it is not this test's fault: it is started again."""
    nodes.restart_if_ended(running)
    return running


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    """A journal that is kept where a test fails."""
    kept = Path(tempfile.mkdtemp(prefix="berth-journal-"))
    return Journal(kept / "journal")
