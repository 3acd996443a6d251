"""Where the limiter keeps its arrival times: a file, the shared database, or Redis.

Each does its step atomically for everybody who shares it: the file for the processes of one node,
the database and Redis for all nodes. None is synced to disk, so a crash may forget what was
counted.
"""

from __future__ import annotations

import fcntl
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

MAX_ROWS = 50_000
"""Of one kind. When there are more, those go first that are over first: the least used ones."""

SWEPT_EVERY = 60.0
"""Seconds between two looks of one process for what is over."""

_SLACK = 0.001
"""Seconds by which a sum of shares may be off."""


class Charge(NamedTuple):
    """One more of `kind` for `who`: allowed once each `step` seconds, `period` / `step` at once."""

    kind: str
    who: str
    step: float
    period: float

    @property
    def key(self) -> str:
        """What its arrival time is kept under."""
        return f"{self.kind}:{self.who}"


class Store(Protocol):
    """Where arrival times are kept. Its methods raise whatever its driver raises."""

    def take(self, charges: Sequence[Charge]) -> dict[Charge, float]:
        """Count all of `charges`, which are in order and of different keys, or none.

        Answers the full ones with the seconds until each has room.
        """

    def settle(self, returned: Sequence[Charge], held: Mapping[str, float]) -> None:
        """Give `returned` back, and hold each key of `held` for its seconds from now."""

    def is_held(self, key: str) -> bool:
        """Whether the time of a key that is held is not over."""

    def quiet_in(self, charges: Sequence[Charge]) -> dict[Charge, float]:
        """The seconds until all that was counted for each has passed; 0 where nothing was."""


_HOLD = "hold"


class _SqlStore:
    """What SQLite and PostgreSQL have in common: one row a key, moved by conditional upserts."""

    table: str
    greatest: str
    placeholder: str
    skip_locked = ""
    in_order = ""

    def __init__(self) -> None:
        self._next_sweep = 0.0

    def _transaction(self) -> AbstractContextManager[Any]:
        """A cursor in a transaction that may write; what raises is rolled back."""
        raise NotImplementedError

    def _execute(self, cursor: Any, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        cursor.execute(sql.replace("%s", self.placeholder), values)
        return list(cursor.fetchall()) if cursor.description else []

    def take(self, charges: Sequence[Charge]) -> dict[Charge, float]:
        """See `Store`."""
        now = time.time()
        self._sweep_now_and_then(now)
        try:
            with self._transaction() as cursor:
                taken = {row[0] for row in self._upsert(cursor, charges, now)}
                if len(taken) < len(charges):
                    raise _Full
        except _Full:
            return self._waits([each for each in charges if each.key not in taken], now)
        return {}

    def _upsert(self, cursor: Any, charges: Sequence[Charge], now: float) -> list[tuple[Any, ...]]:
        at = f"{self.greatest}({self.table}.at, %s) + excluded.step"
        rows = ", ".join(["(%s, %s, %s, %s, %s)"] * len(charges))
        values = [
            value
            for each in charges
            for value in (each.key, each.kind, now + each.step, each.step, each.period)
        ]
        # What is put into the text is ours; the values are bound.
        sql = (
            f"INSERT INTO {self.table} (key, kind, at, step, period) VALUES {rows}"
            f" ON CONFLICT (key) DO UPDATE SET at = {at}, step = excluded.step,"
            f" period = excluded.period WHERE {at} <= %s + excluded.period RETURNING key"
        )
        return self._execute(cursor, sql, [*values, now, now, now + _SLACK])

    def _waits(self, charges: Sequence[Charge], now: float) -> dict[Charge, float]:
        with self._transaction() as cursor:
            found = self._arrivals(cursor, charges)
        return {
            each: max(_SLACK, found.get(each.key, 0.0) + each.step - now - each.period)
            for each in charges
        }

    def settle(self, returned: Sequence[Charge], held: Mapping[str, float]) -> None:
        """See `Store`."""
        now = time.time()
        with self._transaction() as cursor:
            if returned:
                marks = ", ".join(["%s"] * len(returned))
                keys = f"SELECT key FROM {self.table} WHERE key IN ({marks}) {self.in_order}"
                sql = f"UPDATE {self.table} SET at = at - step WHERE key IN ({keys})"
                self._execute(cursor, sql, [each.key for each in returned])
            for key, seconds in sorted(held.items()):
                sql = (
                    f"INSERT INTO {self.table} (key, kind, at, step, period)"
                    " VALUES (%s, %s, %s, 0, 0) ON CONFLICT (key) DO UPDATE SET at = excluded.at"
                )
                self._execute(cursor, sql, [f"{_HOLD}:{key}", _HOLD, now + seconds])

    def is_held(self, key: str) -> bool:
        """See `Store`."""
        with self._transaction() as cursor:
            sql = f"SELECT 1 FROM {self.table} WHERE key = %s AND at > %s"
            return bool(self._execute(cursor, sql, [f"{_HOLD}:{key}", time.time()]))

    def quiet_in(self, charges: Sequence[Charge]) -> dict[Charge, float]:
        """See `Store`."""
        now = time.time()
        with self._transaction() as cursor:
            found = self._arrivals(cursor, charges)
        return {each: max(0.0, found.get(each.key, 0.0) - now) for each in charges}

    def _arrivals(self, cursor: Any, charges: Sequence[Charge]) -> dict[str, float]:
        marks = ", ".join(["%s"] * len(charges))
        sql = f"SELECT key, at FROM {self.table} WHERE key IN ({marks})"
        return dict(self._execute(cursor, sql, [each.key for each in charges]))

    def _sweep_now_and_then(self, now: float) -> None:
        if now < self._next_sweep:
            return
        self._next_sweep = now + SWEPT_EVERY
        self.sweep(now)

    def sweep(self, now: float) -> None:
        """Remove what is over at `now`, and of each kind what is more than `MAX_ROWS`."""
        with self._transaction() as cursor:
            self._delete(cursor, "at < %s", [now])
            sql = f"SELECT kind FROM {self.table} GROUP BY kind HAVING count(*) > %s"
            for (kind,) in self._execute(cursor, sql, [MAX_ROWS]):
                last = (
                    f"SELECT at FROM {self.table} WHERE kind = %s"
                    " ORDER BY at DESC LIMIT 1 OFFSET %s"
                )
                self._delete(cursor, f"kind = %s AND at <= ({last})", [kind, kind, MAX_ROWS])

    def _delete(self, cursor: Any, where: str, values: Sequence[Any]) -> None:
        chosen = f"SELECT key FROM {self.table} WHERE {where} {self.skip_locked}"
        self._execute(cursor, f"DELETE FROM {self.table} WHERE key IN ({chosen})", values)


class _Full(Exception):
    """Rolls back what was taken before a charge that has no room."""


class SqliteStore(_SqlStore):
    """A file, for the processes of one node: one connection each, used by one thread at a time."""

    table, greatest, placeholder = "arrivals", "max", "?"

    _BUSY = 5.0
    """Seconds that a process waits for another one's transaction, which takes microseconds."""

    _SCHEMA = (
        """
        CREATE TABLE IF NOT EXISTS arrivals (key TEXT PRIMARY KEY, kind TEXT NOT NULL,
        at REAL NOT NULL, step REAL NOT NULL, period REAL NOT NULL) WITHOUT ROWID
        """,
        "CREATE INDEX IF NOT EXISTS arrivals_by_time ON arrivals (kind, at)",
    )

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._lock = threading.Lock()
        self._held: sqlite3.Connection | None = None
        self._parents: sqlite3.Connection | None = None
        os.register_at_fork(after_in_child=self._begin_anew)

    def _begin_anew(self) -> None:
        # Another thread of the parent may have held the lock. The connection is the parent's: kept,
        # since closing it here would touch the parent's file.
        self._lock = threading.Lock()
        self._parents, self._held = self._held, None

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Cursor]:
        with self._lock:
            cursor = self._connection().cursor()
            cursor.execute("BEGIN IMMEDIATE")
            try:
                yield cursor
            except BaseException:
                cursor.execute("ROLLBACK")
                raise
            cursor.execute("COMMIT")

    def _connection(self) -> sqlite3.Connection:
        if self._held is not None:
            return self._held
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Whoever sets the journal's mode locks the others out without letting them wait, so one
        # at a time opens the file.
        with open(f"{self._path}.lock", "ab") as alone:
            fcntl.flock(alone, fcntl.LOCK_EX)
            made = sqlite3.connect(
                self._path, timeout=self._BUSY, isolation_level=None, check_same_thread=False
            )
            if made.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
                made.execute("PRAGMA journal_mode=WAL")
            made.execute("PRAGMA synchronous=OFF")
            for statement in self._SCHEMA:
                made.execute(statement)
        self._held = made
        return made


class DatabaseStore(_SqlStore):
    """A table of a PostgreSQL database that Django knows, for all nodes that share it."""

    greatest, placeholder = "greatest", "%s"
    skip_locked = "FOR UPDATE SKIP LOCKED"
    in_order = 'ORDER BY key COLLATE "C" FOR UPDATE'

    def __init__(self, alias: str) -> None:
        from tokens.models import Arrival

        super().__init__()
        self._alias = alias
        self.table = Arrival._meta.db_table  # noqa: SLF001

    @contextmanager
    def _transaction(self) -> Iterator[Any]:
        from django.db import connections, transaction

        with transaction.atomic(using=self._alias), connections[self._alias].cursor() as cursor:
            yield cursor


class RedisStore:
    """Redis, for all nodes. The clock is its own, so that theirs need not agree.

    What is over ends by itself there, so there is nothing to sweep; how much memory it may use is
    its own setting (``maxmemory``).
    """

    _TAKE = """
    local time = redis.call('TIME')
    local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
    local waits, times, full = {}, {}, false
    for i, key in ipairs(KEYS) do
        local step, period = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
        times[i] = math.max(tonumber(redis.call('GET', key) or '0'), now) + step
        local wait = times[i] - now - period
        full = full or wait > 0.001
        waits[i] = string.format('%.6f', wait > 0.001 and wait or 0)
    end
    if full then
        return waits
    end
    for i, key in ipairs(KEYS) do
        redis.call('SET', key, string.format('%.6f', times[i]), 'PX',
            math.ceil((times[i] - now) * 1000))
    end
    return waits
    """

    _SETTLE = """
    local time = redis.call('TIME')
    local now = tonumber(time[1]) + tonumber(time[2]) / 1000000
    for i, key in ipairs(KEYS) do
        local step, seconds = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
        local at = now + seconds
        if step > 0 then
            at = tonumber(redis.call('GET', key) or '0') - step
        end
        if at > now then
            redis.call('SET', key, string.format('%.6f', at), 'PX', math.ceil((at - now) * 1000))
        else
            redis.call('DEL', key)
        end
    end
    """

    def __init__(self, url: str) -> None:
        import redis

        self._client = redis.Redis.from_url(url, socket_timeout=0.5, socket_connect_timeout=0.5)
        self._take = self._client.register_script(self._TAKE)
        self._settle = self._client.register_script(self._SETTLE)

    @staticmethod
    def _key(key: str) -> str:
        return f"berth:rate:{key}"

    def take(self, charges: Sequence[Charge]) -> dict[Charge, float]:
        """See `Store`. Raises `redis.RedisError`."""
        numbers = [number for each in charges for number in (each.step, each.period)]
        waits: Any = self._take(keys=[self._key(each.key) for each in charges], args=numbers)
        found = dict(zip(charges, map(float, waits), strict=True))
        return {each: wait for each, wait in found.items() if wait > 0}

    def settle(self, returned: Sequence[Charge], held: Mapping[str, float]) -> None:
        """See `Store`. Raises `redis.RedisError`."""
        moved = [(each.key, each.step, 0.0) for each in returned]
        moved += [(f"{_HOLD}:{key}", 0.0, seconds) for key, seconds in held.items()]
        if moved:
            numbers = [number for _, *pair in moved for number in pair]
            self._settle(keys=[self._key(key) for key, _, _ in moved], args=numbers)

    def is_held(self, key: str) -> bool:
        """See `Store`. Raises `redis.RedisError`."""
        return bool(self._client.exists(self._key(f"{_HOLD}:{key}")))

    def quiet_in(self, charges: Sequence[Charge]) -> dict[Charge, float]:
        """See `Store`. Raises `redis.RedisError`."""
        # A key ends by itself when it is quiet.
        with self._client.pipeline(transaction=False) as pipeline:
            for each in charges:
                pipeline.pttl(self._key(each.key))
            found = pipeline.execute()
        return {each: max(0, left) / 1000 for each, left in zip(charges, found, strict=True)}
