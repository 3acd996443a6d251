"""The limiter: what one key may, in one process and in many, in a file, a database, and Redis."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from threading import Barrier
from typing import Any

import pytest

from tests.e2e import components
from tests.e2e.components import free_port
from tests.e2e.installation import wait_until
from tokens import limiter, limiter_stores
from tokens.limiter import Kind, Limiter, Rate
from tokens.limiter_stores import Charge, DatabaseStore, RedisStore, SqliteStore, Store


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    program = components.require("redis")
    port = free_port()
    folder = tmp_path_factory.mktemp("redis")
    running = subprocess.Popen(
        [program, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)],
        stdout=subprocess.DEVNULL,
    )
    try:
        import redis

        client = redis.Redis(port=port)

        def answers() -> bool:
            try:
                return bool(client.ping())
            except redis.RedisError:
                return False

        wait_until(answers, timeout=60)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        running.terminate()
        running.wait(30)


DATABASE = pytest.param(
    "database",
    marks=[
        pytest.mark.postgresql,
        pytest.mark.django_db(transaction=True, databases=["default"]),
    ],
)
SQL = pytest.mark.parametrize("store", ["file", DATABASE], indirect=True)


@pytest.fixture(params=["file", "redis", DATABASE])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "redis":
        made = RedisStore(request.getfixturevalue("redis_url"))
        made._client.flushall()
        return made
    if request.param == "file":
        return SqliteStore(tmp_path / "state" / "limits.sqlite3")
    return DatabaseStore("default")


def charge(who: str, burst: int, period: float = 60.0, kind: str = "kind") -> Charge:
    (found,) = Kind(kind, (Rate(burst, period),)).of(who)
    return found


def takes(store: Store, one: Charge) -> bool:
    return not store.take([one])


def test_so_many_at_once_and_no_more(store: Store) -> None:
    alice, bob = charge("alice", 4), charge("bob", 4)
    assert [takes(store, alice) for _ in range(4)] == [True] * 4
    wait = store.take([alice])[alice]
    assert 0 < wait <= 15
    # A refusal costs nothing: who asks again is not told to wait longer.
    assert store.take([alice])[alice] <= wait
    assert takes(store, bob)


def test_the_next_is_allowed_when_its_share_has_passed(store: Store) -> None:
    one = charge("k", 120)
    taken = 0
    while not (full := store.take([one])):
        taken += 1
    assert 120 <= taken <= 120 + 120  # A slow machine takes some of them after their time.
    assert full[one] <= 0.5
    wait_until(lambda: takes(store, one), timeout=60)


def test_all_or_none(store: Store) -> None:
    rare, often = charge("rare", 1), charge("often", 3)
    assert not store.take([often, rare])
    for _ in range(5):
        assert store.take([often, rare]).keys() == {rare}
    assert [takes(store, often) for _ in range(3)] == [True, True, False]
    assert store.take([often, rare]).keys() == {often, rare}


def test_what_is_given_back_is_there_again(store: Store) -> None:
    one, other = charge("a", 2), charge("b", 5)
    for _ in range(20):
        assert not store.take([one, other])
        store.settle([one, other], {})
    assert [takes(store, one) for _ in range(3)] == [True, True, False]


def test_what_was_never_taken_can_be_given_back(store: Store) -> None:
    one = charge("a", 2)
    store.settle([one], {})
    assert [takes(store, one) for _ in range(3)] == [True, True, False]


def test_what_is_held(store: Store) -> None:
    assert not store.is_held("alice")
    store.settle([], {"alice": 60.0, "bob": 0.02})
    assert store.is_held("alice")
    wait_until(lambda: not store.is_held("bob"), interval=0.01)
    store.settle([], {"bob": 60.0})
    assert store.is_held("bob")


def test_when_it_is_quiet_again(store: Store) -> None:
    one, other = charge("one", 3), charge("other", 3)
    assert store.quiet_in([one, other]) == {one: 0, other: 0}
    assert takes(store, one)
    assert takes(store, one)
    found = store.quiet_in([one, other])
    assert 35 < found[one] <= 40
    assert found[other] == 0


def _takes(store: Store, count: int) -> int:
    # A hundred at once, and one more for each 0.6 s that a slow machine takes.
    return sum(takes(store, charge("shared", 100)) for _ in range(count))


@pytest.mark.parametrize("threads", [8, 40])
def test_threads_count_together(store: Store, threads: int) -> None:
    begun = time.monotonic()
    together = Barrier(threads)

    def work(_: int) -> int:
        from django.db import connections

        together.wait(60)
        try:
            return _takes(store, 320 // threads)
        finally:
            connections.close_all()

    with ThreadPoolExecutor(threads) as pool:
        allowed = sum(pool.map(work, range(threads)))
    late = (time.monotonic() - begun) / 0.6
    assert 100 <= allowed <= 101 + late


def test_several_keys_in_any_order_by_many(store: Store) -> None:
    """Nobody waits for somebody who waits for them."""
    several = [charge(str(number), 10_000) for number in range(9)]

    def work(number: int) -> None:
        from django.db import connections

        turned = several[number % 9 :] + several[: number % 9]
        for _ in range(10):
            assert not store.take(limiter._ordered(turned))
            store.settle(limiter._ordered(reversed(turned)), {f"h{number}": 60.0})
        connections.close_all()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(16)))


def _in_another_process(path: str, count: int) -> int:
    return _takes(SqliteStore(Path(path)), count)


def test_processes_count_together(tmp_path: Path) -> None:
    path = str(tmp_path / "limits.sqlite3")
    begun = time.monotonic()
    with ProcessPoolExecutor(3, mp_context=get_context("fork")) as pool:
        answers = [pool.submit(_in_another_process, path, 60) for _ in range(3)]
        allowed = sum(answer.result(120) for answer in answers)
    late = (time.monotonic() - begun) / 0.6
    assert 100 <= allowed <= 101 + late


def _first_of(path: str, barrier: Any) -> int:
    barrier.wait(60)
    return _takes(SqliteStore(Path(path)), 5)


def test_processes_open_it_at_once(tmp_path: Path) -> None:
    """Setting the journal's mode locks others out, who are not let to wait for it."""
    context = get_context("fork")
    with context.Manager() as manager, ProcessPoolExecutor(6, mp_context=context) as pool:
        for number in range(10):
            path, barrier = str(tmp_path / f"{number}.sqlite3"), manager.Barrier(6)
            answers = [pool.submit(_first_of, path, barrier) for _ in range(6)]
            assert [answer.result(120) for answer in answers] == [5] * 6


def test_a_child_has_a_connection_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "limits.sqlite3"
    store = SqliteStore(path)
    assert takes(store, charge("a", 2))
    inherited.append(store)
    with ProcessPoolExecutor(1, mp_context=get_context("fork")) as pool:
        assert pool.submit(_use_what_was_inherited).result(60)
    assert not takes(store, charge("a", 2))


inherited: list[SqliteStore] = []


def _use_what_was_inherited() -> bool:
    (store,) = inherited
    assert store._held is None
    return takes(store, charge("a", 2))


def _rows(store: Any) -> list[str]:
    with store._transaction() as cursor:
        cursor.execute(f"SELECT key FROM {store.table} ORDER BY key")
        return [row[0] for row in cursor.fetchall()]


@SQL
def test_what_is_over_is_swept(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    for number in range(5):
        store.take([charge(f"gone {number}", 1, period=1)])
    store.settle([], {"held": 60.0})
    monkeypatch.setattr(time, "time", lambda: now + limiter_stores.SWEPT_EVERY + 5)
    store.settle([], {"held": 60.0})
    store.take([charge("new", 1)])
    assert _rows(store) == ["hold:held", "kind/60:new"]


@SQL
def test_a_kind_has_at_most_so_many_rows(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stranger sends a million names: what is nearly full stays, and so do the other kinds."""
    monkeypatch.setattr(limiter_stores, "MAX_ROWS", 10)
    nearly_full, other = charge("guesser", 5), charge("other", 5, kind="other")
    for _ in range(5):
        store.take([nearly_full])
    store.take([other])
    for number in range(40):
        store.take([charge(f"name {number}", 5)])
    store.sweep(time.time())
    rows = _rows(store)
    assert len(rows) == 11
    assert {nearly_full.key, other.key} <= set(rows)
    assert not takes(store, nearly_full)


def test_long_names_have_a_bound() -> None:
    assert len(charge("x" * 10_000, 1).key) < 100
    assert charge("x" * 10_000, 1) != charge("x" * 10_001, 1)


@pytest.fixture
def counted(settings: Any, tmp_path: Path) -> Limiter:
    settings.SOME_STORES = (f"file://{tmp_path}/limiter.sqlite3",)
    return Limiter("SOME_STORES")


def test_a_shared_store_that_fails_is_replaced_by_the_nodes_own(
    counted: Limiter, settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    one = charge("alice", 2)
    gone = f"redis://:a-password@127.0.0.1:{free_port()}/0"
    settings.SOME_STORES = (gone, *settings.SOME_STORES)
    before = limiter.FAILURES._value.get()
    with caplog.at_level(logging.ERROR, "tokens.limiter"):
        assert [not counted.take([one]) for _ in range(3)] == [True, True, False]
    assert limiter.FAILURES._value.get() == before
    # Once, not with each request; and the address with its password is not in it.
    assert len(caplog.records) == 1
    assert "a-password" not in caplog.text


def test_where_no_store_answers_all_are_let_through(
    counted: Limiter, settings: Any, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "a-file").touch()
    settings.SOME_STORES = (f"file://{tmp_path}/a-file/limiter.sqlite3",)
    before = limiter.FAILURES._value.get()
    with caplog.at_level(logging.ERROR, "tokens.limiter"):
        assert not any(counted.take([charge("alice", 1)]) for _ in range(5))
        assert not counted.is_held("alice")
    assert limiter.FAILURES._value.get() == before + 6
    assert len(caplog.records) == 1


def test_a_shared_store_is_asked_again_after_a_pause(
    counted: Limiter, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = f"file://{tmp_path}/shared.sqlite3"
    settings.SOME_STORES = (shared, *settings.SOME_STORES)
    monkeypatch.setitem(limiter._paused, shared, time.monotonic() + limiter.PAUSE)
    one = charge("alice", 1)
    assert not counted.take([one])
    assert counted.take([one])
    limiter._paused[shared] -= limiter.PAUSE + 1
    assert not counted.take([one])
    assert counted.take([one])
