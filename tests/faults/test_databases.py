"""Faults of PostgreSQL: one that hangs, one without connections; and a disk that SQLite fills."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.e2e.installation import Installation, wait_until
from tests.faults import nodes
from tests.faults.load import NAMES, Journal, Load, Registry
from tests.faults.test_running import SECONDS, SEED, assert_whole
from tests.registry.tmpfs import mounted

pytestmark = [pytest.mark.faults, pytest.mark.system, pytest.mark.engineless]


def needs_postgresql(stack: dict[str, str]) -> None:
    if not stack:
        pytest.skip("this fault is PostgreSQL's")


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """kill -STOP, and -CONT at the end."""
    try:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


@pytest.mark.slow
def test_f20_postgresql_hangs(node: Installation, journal: Journal, stack: dict[str, str]) -> None:
    """No answer of the whole server: 503 and no thread that waits for ever."""
    needs_postgresql(stack)
    registry = Registry(node)
    assert registry.push_image(NAMES[0], "before", [b"x"])[0] == 201
    with Load(node, journal, seed=SEED, clients=3) as load:
        for _ in range(max(1, round(SECONDS / 20))):
            time.sleep(1)
            with stopped(nodes.server_processes(stack)):
                journal.injections += 1
                begun = time.monotonic()
                answer = registry.request("GET", f"/v2/{NAMES[0]}/manifests/before")
                assert answer.status_code == 503
                assert answer.headers["Retry-After"] == "10"
                assert time.monotonic() - begun < 30  # I10
    assert load.faults == []
    assert_whole(node, journal)


def test_f22_no_connection_is_left(
    node: Installation, journal: Journal, stack: dict[str, str]
) -> None:
    """Others have taken all of the server's connections: 503, and on it goes when they let go."""
    needs_postgresql(stack)
    registry = Registry(node)
    assert registry.push_image(NAMES[0], "before", [b"x"])[0] == 201
    host = str(nodes.server_folder(stack))
    with ExitStack() as taken:
        first = psycopg.connect(host=host, user="postgres", dbname="postgres", autocommit=True)
        taken.enter_context(first)

        def take_all() -> None:
            with suppress(psycopg.OperationalError):
                while True:
                    taken.enter_context(
                        psycopg.connect(host=host, user="postgres", dbname="postgres")
                    )

        def refused() -> bool:
            first.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = 'faults_registry'"
            )
            take_all()
            answer = registry.request("GET", f"/v2/{NAMES[0]}/manifests/before")
            return answer.status_code == 503 and answer.headers["Retry-After"] == "10"

        wait_until(refused, timeout=60)
        journal.injections += 1
    assert_whole(node, journal)


@pytest.mark.slow
def test_f24_a_disk_that_the_database_fills(tmp_path: Path, journal: Journal) -> None:
    """507 or 503 and no damage; with space again on it goes."""
    with mounted(tmp_path / "disk", "size=96m") as disk:
        berth = Installation(tmp_path / "node", **nodes.QUICK, BERTH_HOME=str(disk / "home"))
        berth.home = disk / "home"
        berth.start()
        try:
            registry = Registry(berth)
            assert registry.push_image(NAMES[0], "before", [b"x"])[0] == 201
            chance = random.Random(SEED)
            ballast = disk / "ballast"
            with ballast.open("wb", buffering=0) as file, suppress(OSError):
                while True:
                    file.write(bytes(64 * 1024))
            for number in range(5):
                with suppress(httpx.HTTPError):
                    status, _ = registry.push_image(
                        NAMES[0], f"full{number}", [chance.randbytes(500_000)]
                    )
                    assert status in (503, 507), status
                journal.injections += 1
            ballast.unlink()
            assert registry.pull(NAMES[0], "before")
            assert_whole(berth, journal)
            for side in ("gitlab", "registry"):
                checked = berth.run_python(
                    "import sqlite3\n"
                    f"path = {str(berth.home / 'db' / f'{side}.sqlite3')!r}\n"
                    "answer = sqlite3.connect(path).execute('PRAGMA integrity_check').fetchall()"
                )
                assert checked == [["ok"]]
        finally:
            berth.discard()


def test_f50_a_collector_that_stops_with_what_it_holds(
    node: Installation, journal: Journal, stack: dict[str, str]
) -> None:
    """A repository that is held for long: its pushes get 503 in time, others go on, then all do."""
    needs_postgresql(stack)
    registry = Registry(node)
    for name in NAMES[:2]:
        assert registry.push_image(name, "before", [b"x"])[0] == 201
    with psycopg.connect(
        host=str(nodes.server_folder(stack)), user="postgres", dbname="faults_registry"
    ) as holder:
        holder.execute(
            "SELECT id FROM registry_repository WHERE name = %s AND closed_at IS NULL FOR UPDATE",
            [NAMES[0]],
        )
        begun = time.monotonic()
        assert registry.push_image(NAMES[0], "held", [b"y"])[0] == 503
        assert time.monotonic() - begun < 60
        assert registry.push_image(NAMES[1], "free", [b"z"])[0] == 201
        holder.rollback()
    assert registry.push_image(NAMES[0], "held", [b"y"])[0] == 201
    assert registry.pull(NAMES[0], "held")
    assert_whole(node, journal)
