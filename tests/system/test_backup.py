"""Backup of a running system, and the system that comes back from it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e import components
from tests.e2e.installation import Installation, wait_until
from tests.e2e.postgresql import Server
from tests.faults import nodes
from tests.faults.load import Journal, Load, Registry, verify, violations

_REMOVED = "from registry.models import Receipt\nanswer = Receipt.objects.count()"
_LEASES = "from registry.models import GarbageLease\nanswer = GarbageLease.objects.count()"

pytestmark = [pytest.mark.system, pytest.mark.engineless]


@pytest.fixture(params=["sqlite", "postgresql"])
def stacks(request: pytest.FixtureRequest) -> Iterator[list[dict[str, str]]]:
    """The settings of two stacks: the one that is backed up, and an empty one."""
    if request.param == "sqlite":
        yield [{}, {}]
        return
    components.require("postgresql")
    server = Server()
    try:
        server.start()
        yield [nodes.databases(server, "first"), nodes.databases(server, "second", empty=True)]
    finally:
        server.stop()


def test_a_backup_under_load(stacks: list[dict[str, str]], tmp_path: Path) -> None:
    first = Installation(tmp_path / "first", **nodes.QUICK, **stacks[0])
    second = Installation(tmp_path / "second", **nodes.QUICK, **stacks[1])
    journal = Journal(tmp_path / "journal")
    options = [] if stacks[0] else ["--link"]
    out = tmp_path / "backup"
    first.start()
    try:
        first.create_user("alice")
        with Load(first, journal, seed=1, clients=3) as load:
            # Until the collector has removed something, so that it is at work when we begin.
            wait_until(lambda: first.run_python(_REMOVED), timeout=60)
            begun = time.time()
            said = first.manage("backup", str(out), *options)
            time.sleep(3)
        assert "everything that was acknowledged" in said
        assert load.faults == []
        assert load.counts["writes"] > 10, load.counts
        assert not first.run_python(_LEASES)
    finally:
        first.discard()
    second.manage("restore", str(out), *options)
    with pytest.raises(AssertionError, match="nothing was restored"):
        second.manage("restore", str(out))
    second.start()
    try:
        assert verify(second) == []
        assert violations(second, journal, before=begun) == []
        # People, and what they may do, are back as well.
        assert second.token("repository:root/load0:pull", username="alice")
        status, _ = Registry(second).push_image("root/load0", "after", [b"a layer"])
        assert status == 201
    finally:
        second.discard()
