"""F33: the power goes. What was acknowledged before is on the disk, and the node goes on with it.

A snapshot of the disk is taken at random instants while clients push; see `disks`. Each is mounted
in the place of the disk afterwards, and has to hold every write that was acknowledged before it
began. ``SNAPSHOTS`` in the environment says how many there are.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import components
from tests.e2e.installation import Installation, wait_until
from tests.e2e.postgresql import Server
from tests.faults import nodes
from tests.faults.disks import Disk, disk
from tests.faults.inspection import Inspector
from tests.faults.load import NAMES, Journal, Load, Registry, violations
from tests.faults.test_running import SECONDS, SEED

pytestmark = [pytest.mark.faults, pytest.mark.system, pytest.mark.engineless]

SNAPSHOTS = int(os.environ.get("SNAPSHOTS", max(3, round(SECONDS * 0.75))))
_PROMISED = 2.0
"""Seconds for which an acknowledged blob is certainly kept without a manifest: see `_SETTINGS`."""

_SETTINGS = {**nodes.QUICK, "BERTH__GC_REVIEW_DELAY": "6s"}

CARELESS = {
    "bytes": "import os\nos.fsync = lambda descriptor: None\n",
    "rows": """
import sqlite3

class Connection(sqlite3.Connection):
    def execute(self, statement, *arguments):
        statement = statement.replace("synchronous=FULL", "synchronous=OFF")
        return super().execute(statement, *arguments)

sqlite3.Connection = Connection
""",
}
"""What Python runs at its start so that a node does not sync one thing that it should.

Folders are none of these: a file system with a journal writes a name along with the sync of the
file that has it, and one without loses more than a folder. See `test_filesystem_store`.
"""


@dataclass
class Snapshot:
    """An image of the disk, and the time between which it was taken."""

    image: Path
    before: float
    until: float


class Machine:
    """A node, and a PostgreSQL if it has one, whose files are all on a disk.

    `durable` is PostgreSQL's: whether it syncs.
    """

    def __init__(
        self, folder: Path, on: Disk, engine: str, *, durable: bool = True, **settings: str
    ) -> None:
        self.disk, self._durable = on, durable
        self._data = on.folder / "pg"
        self._has_server = engine == "postgresql"
        self._server: Server | None = None
        home = on.folder / "home"
        self.node = Installation(folder, **_SETTINGS, **settings, BERTH_HOME=str(home))
        self.node.home = home
        try:
            self.switch_on_server()
            if self._server is not None:
                self.node.settings |= nodes.databases(self._server, "power")
        except BaseException:
            self.switch_off()
            raise

    def switch_on_server(self) -> None:
        """Start PostgreSQL, where there is one, with what is on the disk."""
        if self._has_server:
            self._data.mkdir(exist_ok=True)
            # These name a process, and after a power cut another one may have its number.
            for left in ("data/postmaster.pid", ".s.PGSQL.5432.lock", ".s.PGSQL.5432"):
                (self._data / left).unlink(missing_ok=True)
            self._server = Server(self._data, durable=self._durable)
            self._server.start()

    def switch_off(self) -> None:
        """Stop everything that has files open on the disk."""
        try:
            self.node.stop()
        finally:
            if self._server is not None:
                self._server.stop()

    @contextmanager
    def after_power_cut(self, snapshot: Snapshot) -> Iterator[None]:
        """What a snapshot holds is on the disk, for a while."""
        with self.disk.after_power_cut(snapshot.image), ExitStack() as running:
            running.callback(self.switch_off)
            self.switch_on_server()
            yield


def snapshots_under_load(
    machine: Machine, journal: Journal, count: int
) -> tuple[list[Snapshot], Load]:
    """Serve clients, take snapshots meanwhile, and switch everything off."""
    chance = random.Random(SEED)
    taken = []
    with ExitStack() as running:
        running.callback(machine.switch_off)
        machine.node.start()
        # What has to be durable is what comes after.
        subprocess.run(["sync", "--file-system", machine.disk.folder], check=True)
        with Load(machine.node, journal, seed=SEED, clients=4, notes_blobs=True) as load:
            for number in range(count):
                # However slow the machine is, there is something new to lose.
                wanted = load.counts["writes"] + 2
                wait_until(lambda least=wanted: load.counts["writes"] >= least, timeout=60)
                time.sleep(chance.uniform(0, 0.4))
                before = time.time()
                image = machine.disk.snapshot(number)
                taken.append(Snapshot(image, before, time.time()))
                journal.injections += 1
    machine.disk.unmount()
    return taken, load


def lost(inspector: Inspector, journal: Journal, snapshot: Snapshot, folder: Path) -> list[str]:
    """What is not there, of what was acknowledged before the snapshot was begun."""
    expected = journal.expected(snapshot.before, snapshot.until)
    question = {
        "tags": [[name, tag, list(allowed)] for (name, tag), allowed in expected.items()],
        "blobs": sorted(journal.stored(snapshot.before - _PROMISED, snapshot.before)),
    }
    asked = folder / "asked.json"
    asked.write_text(json.dumps(question))
    found = inspector.ask(asked)
    return [f"{snapshot.image.name}: {sentence}" for sentence in found]


def goes_on(node: Installation, journal: Journal, snapshot: Snapshot) -> list[str]:
    """I9: the node starts by itself, with all of it, and serves as before."""
    node.start()
    found = violations(node, journal, before=snapshot.before, until=snapshot.until)
    status, _ = Registry(node).push_image(NAMES[0], "afterwards", [b"a layer"])
    return found if status == 201 else [*found, f"I9: a push is answered {status}"]


@pytest.mark.parametrize(
    "kind", ["ext4", *(pytest.param(k, marks=pytest.mark.slow) for k in ("xfs", "btrfs"))]
)
@pytest.mark.parametrize("engine", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def test_f33_the_power_goes(engine: str, kind: str, tmp_path: Path, journal: Journal) -> None:
    if engine == "postgresql":
        components.require("postgresql")
    with disk(kind) as on:
        machine = Machine(tmp_path / "node", on, engine)
        snapshots, load = snapshots_under_load(machine, journal, SNAPSHOTS)
        found = []
        with closing(Inspector(machine.node)) as inspector:
            for snapshot in snapshots:
                with machine.after_power_cut(snapshot):
                    found += lost(inspector, journal, snapshot, tmp_path)
                    if snapshot is snapshots[-1]:
                        found += goes_on(machine.node, journal, snapshot)
    kept = f"seed {SEED}, journal {journal.path}"
    assert found == [], kept  # I1, I2, I13
    assert load.faults == [], kept


@pytest.mark.slow
@pytest.mark.parametrize("careless", ["bytes", "rows", "server"])
def test_f33_a_node_that_does_not_sync_is_found_out(
    careless: str, tmp_path: Path, journal: Journal
) -> None:
    """The test can fail: in one of some snapshots something is lost, whatever is not synced."""
    settings = {}
    if careless == "server":
        components.require("postgresql")
    else:
        (tmp_path / "sitecustomize.py").write_text(CARELESS[careless])
        settings["PYTHONPATH"] = str(tmp_path)
    with disk("ext4") as on:
        engine = "postgresql" if careless == "server" else "sqlite"
        machine = Machine(tmp_path / "node", on, engine, durable=engine == "sqlite", **settings)
        snapshots, _ = snapshots_under_load(machine, journal, 6)
        machine.node.settings.pop("PYTHONPATH", None)
        found = []
        with closing(Inspector(machine.node)) as inspector:
            for snapshot in snapshots:
                try:
                    with machine.after_power_cut(snapshot):
                        found += lost(inspector, journal, snapshot, tmp_path)
                except RuntimeError as error:
                    found.append(f"PostgreSQL does not start: {error}")
    assert found
