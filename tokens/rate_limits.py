"""How many requests a minute one user, one token, one address may send.

The generic cell rate algorithm (ITU-T I.371; GitLab's registry and its ``throttle`` use it too): a
key is allowed a minute's requests at once and then one whenever its share of the minute has passed.
All that is kept of a key is the moment at which it has been quiet again, its "theoretical arrival
time"; taking a request moves it, in one atomic step.

That step is done by Redis where ``berth.cache_url`` names one, for all nodes together, else in an SQLite
file of the state folder, for all processes of the node. Where neither answers, requests are let
through, which is logged and counted: a limit must not become an outage.
"""

from __future__ import annotations

import functools
import hashlib
import ipaddress
import logging
import math
import os
import sqlite3
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from django.conf import settings
from prometheus_client import Counter

log = logging.getLogger("tokens.rate_limits")

PERIOD = 60.0
"""Seconds for which the settings give a number, and the longest that anybody is told to wait."""

PAUSE = 5.0
"""Seconds in which a store that has just failed is not asked again."""

FAILURES = Counter("berth_rate_limit_failures", "Requests that no limit could be applied to.")

Key = tuple[str, str]
"""The kind (``user``, ``token``, ``address``: the settings' names) and who."""


class TooManyRequests(Exception):
    """Refused; `retry_after` in whole seconds, 1 to 60."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"too many requests, retry in {retry_after} s")
        self.retry_after = retry_after


class Store(Protocol):
    """Where the arrival times are kept."""

    def take(self, key: str, interval: float) -> float:
        """Count a request of `key`, of which one is allowed each `interval` seconds.

        Answers 0 where it is allowed, else how many seconds are missing; then nothing was counted.
        """


class SqliteStore:
    """For the processes of one node. Nothing is synced: a crash may forget what was counted."""

    _SWEPT_EVERY = 60.0

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._next_sweep = 0.0

    def _connection(self) -> sqlite3.Connection:
        # One for each thread, and none that a fork has carried along.
        known: tuple[int, sqlite3.Connection] | None = getattr(self._local, "held", None)
        if known is not None and known[0] == os.getpid():
            return known[1]
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = sqlite3.connect(self._path, timeout=1.0, isolation_level=None)
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("PRAGMA synchronous=OFF")
        made.execute(
            "CREATE TABLE IF NOT EXISTS arrivals (key TEXT PRIMARY KEY, at REAL NOT NULL)"
            " WITHOUT ROWID"
        )
        self._local.held = (os.getpid(), made)
        return made

    def take(self, key: str, interval: float) -> float:
        """See `Store`. Raises `sqlite3.Error`, `OSError`."""
        connection, now = self._connection(), time.time()
        if now >= self._next_sweep:
            self._next_sweep = now + self._SWEPT_EVERY
            connection.execute("DELETE FROM arrivals WHERE at < ?", (now,))
        taken = connection.execute(
            "INSERT INTO arrivals VALUES (:key, :now + :step)"
            " ON CONFLICT (key) DO UPDATE SET at = max(at, :now) + :step"
            " WHERE max(at, :now) + :step <= :now + :period RETURNING at",
            {"key": key, "now": now, "step": interval, "period": PERIOD},
        ).fetchall()
        if taken:
            return 0.0
        rows = connection.execute("SELECT at FROM arrivals WHERE key = ?", (key,)).fetchall()
        return max(rows[0][0] + interval - now - PERIOD, 0.001) if rows else 0.0


class RedisStore:
    """For all nodes. The clock is Redis's own, so that theirs need not agree."""

    _TAKE = """
    local time = redis.call('TIME')
    local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
    local step, period = tonumber(ARGV[1]), tonumber(ARGV[2])
    local at = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now) + step
    if at > now + period then
        return tostring(at - now - period)
    end
    redis.call('SET', KEYS[1], string.format('%.6f', at), 'PX', math.ceil((at - now) * 1000))
    return '0'
    """

    def __init__(self, url: str) -> None:
        import redis

        self._client = redis.Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
        self._take = self._client.register_script(self._TAKE)

    def take(self, key: str, interval: float) -> float:
        """See `Store`. Raises `redis.RedisError`."""
        answer: Any = self._take(keys=[f"berth:rate:{key}"], args=[interval, PERIOD])
        return float(answer)


@functools.cache
def _store(url: str | None, folder: Path) -> Store:
    return RedisStore(url) if url else SqliteStore(folder / "rate_limits.sqlite3")


_failed_at = [0.0]


def take(*keys: Key) -> None:
    """Count a request for each of `keys` whose kind is limited. Raises `TooManyRequests`."""
    limits: dict[str, int] = settings.RATE_LIMITS
    wait = 0.0
    for kind, who in keys:
        per_minute = limits.get(kind)
        if per_minute and who:
            wait = max(wait, _ask(f"{kind}:{who}", PERIOD / per_minute))
    if wait:
        raise TooManyRequests(min(int(PERIOD), max(1, math.ceil(wait))))


def _ask(key: str, interval: float) -> float:
    if time.monotonic() < _failed_at[0] + PAUSE and _failed_at[0]:
        FAILURES.inc()
        return 0.0
    try:
        return _store(settings.RATE_LIMITS_URL, settings.RATE_LIMITS_FOLDER).take(key, interval)
    except Exception as error:  # noqa: BLE001 - whatever a store may raise, requests go on
        _failed_at[0] = time.monotonic()
        FAILURES.inc()
        log.error("rate limits do not hold at the moment: %s", type(error).__name__)
        return 0.0


def of_user(name: str) -> Key:
    """The key of a user, by name: a registry knows no other."""
    return "user", name.lower()


def of_token(text: str) -> Key:
    """The key of a token, which is not kept."""
    return "token", hashlib.sha256(text.encode()).hexdigest()[:32]


def of_address(address: str) -> Key:
    """The key of an address. An IPv6 customer has 2**64 of them, so the /64 counts."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return "address", address[:64]
    if known.version == 6:
        return "address", str(ipaddress.ip_network((known, 64), strict=False))
    return "address", str(known)


def keys_of(*, user: str, token: str, address: str) -> Sequence[Key]:
    """What a request counts for: its user and token where there are any, else its address."""
    if user:
        return (of_user(user), of_token(token)) if token else (of_user(user),)
    return (of_address(address),)
