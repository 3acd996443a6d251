"""Counting requests: what one key may, in one process and in many, in a file and in Redis."""

from __future__ import annotations

import logging
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import components
from tests.e2e.components import free_port
from tests.e2e.installation import wait_until
from tokens import rate_limits
from tokens.rate_limits import RedisStore, SqliteStore, Store, TooManyRequests

pytestmark = pytest.mark.engineless


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


@pytest.fixture(params=["sqlite", "redis"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    if request.param == "redis":
        made = RedisStore(request.getfixturevalue("redis_url"))
        made._client.flushall()
        return made
    return SqliteStore(tmp_path / "state" / "limits.sqlite3")


def test_a_minutes_requests_may_come_at_once_and_no_more(store: Store) -> None:
    interval = 60 / 4
    assert [store.take("user:alice", interval) for _ in range(4)] == [0, 0, 0, 0]
    wait = store.take("user:alice", interval)
    assert 0 < wait <= interval
    # A refusal costs nothing: who asks again is not told to wait longer.
    assert store.take("user:alice", interval) <= wait
    assert store.take("user:bob", interval) == 0


def test_the_next_is_allowed_when_its_share_of_the_minute_has_passed(store: Store) -> None:
    interval = 0.5
    taken = 0
    while not (wait := store.take("k", interval)):
        taken += 1
    assert 120 <= taken <= 120 + 120  # A slow machine takes some of them after their time.
    assert wait <= interval
    wait_until(lambda: store.take("k", interval) == 0, timeout=60)


def _takes(store: Store, count: int) -> int:
    # A hundred at once, and one more for each 0.6 s that a slow machine takes.
    return sum(store.take("shared", 0.6) == 0 for _ in range(count))


def test_threads_count_together(store: Store) -> None:
    begun = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        allowed = sum(pool.map(lambda _: _takes(store, 40), range(8)))
    late = (time.monotonic() - begun) / 0.6
    assert 100 <= allowed <= 101 + late


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


def test_what_is_over_is_swept(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "limits.sqlite3")
    for number in range(5):
        store.take(f"gone {number}", 0.001)
    store._next_sweep = 0
    time_when_all_are_over = time.time() + 0.01
    wait_until(lambda: time.time() > time_when_all_are_over, interval=0.01)
    store.take("new", 1)
    rows = store._connection().execute("SELECT key FROM arrivals").fetchall()
    assert rows == [("new",)]


@pytest.fixture
def limits(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    settings.RATE_LIMITS_URL = None
    settings.RATE_LIMITS_FOLDER = tmp_path
    settings.RATE_LIMITS = {}
    monkeypatch.setattr(rate_limits, "_failed_at", [0.0])
    found: dict[str, int] = settings.RATE_LIMITS
    return found


@pytest.mark.parametrize("per_minute", [1, 7, 2000])
def test_retry_after_is_1_to_60(limits: dict[str, int], per_minute: int) -> None:
    limits["user"] = per_minute

    def take_them_all() -> None:
        for _ in range(10 * per_minute + 2000):
            rate_limits.take(("user", "alice"))

    with pytest.raises(TooManyRequests) as caught:
        take_them_all()
    assert 1 <= caught.value.retry_after <= 60
    assert caught.value.retry_after <= 60 / per_minute + 1


def test_each_kind_has_its_own_limit(limits: dict[str, int]) -> None:
    limits |= {"user": 3, "token": 1}
    rate_limits.take(("user", "alice"), ("token", "one"))
    with pytest.raises(TooManyRequests):
        rate_limits.take(("user", "alice"), ("token", "one"))
    rate_limits.take(("user", "alice"), ("token", "two"))
    with pytest.raises(TooManyRequests):
        rate_limits.take(("user", "alice"), ("token", "three"))
    rate_limits.take(("address", "203.0.113.7"))


def test_ipv6_counts_by_64() -> None:
    assert rate_limits.of_address("2001:db8::1") == rate_limits.of_address("2001:db8::ffff:2")
    assert rate_limits.of_address("2001:db8:0:1::1") != rate_limits.of_address("2001:db8::1")
    assert rate_limits.of_address("203.0.113.7") == ("address", "203.0.113.7")


def test_no_token_is_kept() -> None:
    kind, key = rate_limits.of_token("glpat-a-secret")
    assert kind == "token"
    assert "a-secret" not in key


def test_a_store_that_fails_lets_through_and_says_so(
    limits: dict[str, int], settings: Any, caplog: pytest.LogCaptureFixture
) -> None:
    limits["user"] = 1
    settings.RATE_LIMITS_URL = f"redis://:a-password@127.0.0.1:{free_port()}/0"
    before = rate_limits.FAILURES._value.get()
    with caplog.at_level(logging.ERROR, "tokens.rate_limits"):
        for _ in range(5):
            rate_limits.take(("user", "alice"))
    assert rate_limits.FAILURES._value.get() == before + 5
    # Once, not with each request; and the address with its password is not in it.
    assert len(caplog.records) == 1
    assert "a-password" not in caplog.text


def test_it_holds_again_when_the_store_is_back(
    limits: dict[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    limits["user"] = 1
    monkeypatch.setattr(rate_limits, "_failed_at", [time.monotonic()])
    rate_limits.take(("user", "alice"))
    rate_limits.take(("user", "alice"))
    rate_limits._failed_at[0] = time.monotonic() - rate_limits.PAUSE - 1
    rate_limits.take(("user", "alice"))
    with pytest.raises(TooManyRequests):
        rate_limits.take(("user", "alice"))
