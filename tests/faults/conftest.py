"""One running installation a stack, for all faults that leave it as they found it; and
their table.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import components, seaweedfs
from tests.e2e.installation import Installation
from tests.e2e.postgresql import Server
from tests.faults import nodes
from tests.faults.load import Journal

STACKS = [
    # One worker has a stack: each start of one takes seconds.
    pytest.param("sqlite", marks=pytest.mark.xdist_group("faults on sqlite")),
    pytest.param("postgresql", marks=pytest.mark.xdist_group("faults on postgresql")),
    pytest.param(
        "postgresql-s3", marks=[pytest.mark.slow, pytest.mark.xdist_group("faults on s3")]
    ),
]
"""The engine, and where the bytes are unless in files."""


@pytest.fixture(scope="session", params=STACKS)
def stack(request: pytest.FixtureRequest) -> Iterator[dict[str, str]]:
    """The settings of a stack. A PostgreSQL of its own may be stopped and started by a test."""
    if request.param == "sqlite":
        yield {}
        return
    components.require("postgresql")
    settings: dict[str, str] = {}
    if request.param == "postgresql-s3":
        store: seaweedfs.SeaweedFS = request.getfixturevalue("s3")
        settings = store.settings("faults")
    server = Server()
    try:
        server.start()
        yield settings | nodes.databases(server, "faults")
    finally:
        server.stop()


@pytest.fixture(scope="session")
def running(
    stack: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installation]:
    """A node in which garbage goes after seconds."""
    berth = Installation(tmp_path_factory.mktemp("node"), **nodes.QUICK, **stack)
    berth.start()
    yield berth
    berth.discard()


@pytest.fixture
def node(running: Installation) -> Installation:
    """The node. What a test before has done to it is not this test's fault: it is started again."""
    nodes.restart_if_ended(running)
    return running


@pytest.fixture
def journal(request: pytest.FixtureRequest) -> Iterator[Journal]:
    """A journal that is kept where a test fails."""
    kept = Path(tempfile.mkdtemp(prefix="berth-journal-"))
    made = Journal(kept / "journal")
    yield made
    request.node.user_properties.append(("injections", made.injections))
    if _results.get(request.node.nodeid) == "passed":
        shutil.rmtree(kept)


# The table: fault, stack, repetitions, violations.

_results: dict[str, str] = {}
_injections: dict[str, int] = {}
_FAULT = re.compile(r"[fF]\d\d(?:_f\d\d)*")


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember what became of each test of a fault, and how often that was injected."""
    if "faults" not in report.keywords:
        return
    if report.when == "call" or report.outcome != "passed":
        _results[report.nodeid] = report.outcome
    _injections[report.nodeid] = int(dict(report.user_properties).get("injections", 0)) or 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table; the long form keeps it too."""
    engine = terminalreporter.config.getoption("engine")
    rows: dict[tuple[str, str], list[int]] = {}
    for nodeid, outcome in _results.items():
        if outcome == "skipped":
            continue
        test, _, parameters = nodeid.rpartition("::")[2].partition("[")
        named = _FAULT.search(test) or _FAULT.search(parameters)
        stack = next(
            (s for s in ("postgresql-s3", "postgresql", "sqlite") if s in parameters), engine
        )
        key = (named[0].upper().replace("_", ", ") if named else test, stack)
        row = rows.setdefault(key, [0, 0])
        row[0] += _injections[nodeid]
        row[1] += outcome == "failed"
    if not rows:
        return
    lines = ["| fault | stack | injections | tests with violations |", "|---|---|---:|---:|"]
    lines += [
        f"| {fault} | {stack} | {n} | {bad} |" for (fault, stack), (n, bad) in sorted(rows.items())
    ]
    terminalreporter.write_sep("-", "faults")
    for line in lines:
        terminalreporter.write_line(line)
    if "SECONDS" in os.environ:
        kept = Path(__file__).resolve().parent.parent / ".artifacts"
        kept.mkdir(exist_ok=True)
        (kept / f"faults-{engine}.md").write_text("\n".join(lines) + "\n")
