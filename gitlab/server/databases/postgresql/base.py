"""The engine ``gitlab.server.databases.postgresql``: a server that does not answer is given up
after a while.

``OPTIONS["patience"]`` is how many seconds a query may go without an answer. A server that works
ends a long statement by itself, by ``statement_timeout``; this is for one that hangs, or whose
machine is gone without a word.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import psycopg
from django.db.backends.postgresql import base
from psycopg import errors
from psycopg.pq import TransactionStatus

from gitlab.server.databases.postgresql import first_statistics
from gitlab.server.databases.postgresql.known_statements import KnownStatements, Statement
from gitlab.server.databases.reading import Answered, ReadsRows, Sent, Waiting

_TRUSTED_FOR = 5.0
"""Seconds."""

_SOUND = (TransactionStatus.IDLE, TransactionStatus.INTRANS)
"""Of a connection that may be asked: neither lost, nor in a transaction that has failed."""

_PREPARED_FROM = 2
"""The time that a statement is prepared at: once on each connection, and then only executed."""

_FIRST_PLANNED_FOR, _PLANNED_FOR = 1.0, 20.0
"""Seconds that a plan is kept, on a connection that is new and on one that is not. The server makes
it anew by itself only when it has gathered new statistics: a table that has grown from nothing
since would be read from end to end until then."""


# Neither what the server does by itself, as a vacuum, nor a replica that fetches changes for ever.
_AT_WORK = """
SELECT 1 FROM pg_stat_get_activity(NULL) WHERE pid <> pg_backend_pid()
AND backend_type = 'client backend' AND state IN ('active', 'idle in transaction')
AND datid = (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1
"""


class PatientConnection(psycopg.Connection[Any]):
    """A connection that is closed where the server leaves a query without an answer."""

    patience: float | None = None
    planned_until = float("inf")
    """By the monotonic clock; never, where nothing is prepared."""

    planned_for = _FIRST_PLANNED_FOR
    """Seconds, until it is planned again."""

    known: KnownStatements | None = None

    def wait(self, gen: Any, *arguments: Any, **options: Any) -> Any:
        """As psycopg's, and at most `patience` seconds. Raises `psycopg.OperationalError`."""
        if self.patience is not None:
            options.setdefault("timeout", self.patience)
        try:
            return super().wait(gen, *arguments, **options)
        except errors._WaitTimeout as error:  # noqa: SLF001 - the only name that it has
            # What it was at is unknown: nobody may go on with it.
            self.pgconn.finish()
            raise psycopg.OperationalError(
                f"the database server did not answer within {self.patience:g} s"
            ) from error

    def _deallocate(self, name: bytes | None) -> Any:
        # Psycopg lets the server forget everything after a rollback, with ours among it.
        if name is None and self.known is not None:
            self.known.forget()
        yield from super()._deallocate(name)

    def commit(self) -> None:
        """As psycopg's."""
        if self.known is None or not self.known.commit():
            super().commit()

    def rollback(self) -> None:
        """As psycopg's."""
        if self.known is None or not self.known.roll_back():
            super().rollback()


def _has_news(socket: int) -> bool:
    """Whether something has come, such as the end, on a connection that nobody has asked."""
    poll = select.poll()
    poll.register(socket, select.POLLIN)
    return bool(poll.poll(0))


def _connect(*arguments: Any, patience: float | None = None, **options: Any) -> Any:
    connection = PatientConnection.connect(*arguments, **options)
    connection.patience = patience
    if _is_to_the_server_itself(connection):
        connection.prepare_threshold = _PREPARED_FROM
        # What is prepared looks rows up by an index, whatever the values: planning it anew for
        # them, as the server does where it hopes to gain by that, takes ten times as long.
        connection.execute("SET plan_cache_mode TO force_generic_plan")
        connection.planned_until = time.monotonic() + connection.planned_for
        connection.known = KnownStatements(connection, patience)
        if not connection.autocommit:
            connection.commit()
    return connection


def _is_to_the_server_itself(connection: PatientConnection) -> bool:
    """Whether no pooler, as PgBouncer, stands in between.

    One that gives each transaction another of its connections makes a prepared statement vanish.
    It tells its clients of a process that is not the server's.
    """
    found = connection.execute("SELECT pg_backend_pid()").fetchone()
    if not connection.autocommit:
        connection.rollback()
    return found is not None and found[0] == connection.info.backend_pid


class DatabaseWrapper(ReadsRows, base.DatabaseWrapper):
    """Django's, with connections of ours."""

    _known_usable_at = float("-inf")

    def is_usable(self) -> bool:
        """See Django's, which asks the server each time. Here a connection that was good a moment
        ago, and of which the server has said nothing since, is taken to be good.

        A server that ends or restarts says so; one that is gone without a word is asked again.
        """
        now = time.monotonic()
        if (
            self.connection is not None
            and self.connection.pgconn.transaction_status in _SOUND
            and now - self._known_usable_at < _TRUSTED_FOR
            and not _has_news(self.connection.pgconn.socket)
        ):
            return True
        usable: bool = super().is_usable()
        if usable:
            self._known_usable_at = now
        return usable

    def connect(self) -> None:
        """See Django's."""
        super().connect()
        self._known_usable_at = time.monotonic()

    def others_wait(self) -> bool:
        """Whether another connection to this database is at work, or in a transaction, now: one of
        the same role, as far as this may see no others.
        """
        with self.together() as send:
            # Within a transaction the server would say what it was when this was first asked.
            send("SELECT pg_stat_clear_snapshot()", [])
            found = send(_AT_WORK, [])
        return bool(found.row)

    def rows(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """See `ReadsRows.rows`: by a statement that the server knows, where there is one."""
        found = self._answers([(sql, parameters)])
        return super().rows(sql, parameters) if found is None else found[0].rows

    def row(self, sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        """See `ReadsRows.row`: by a statement that the server knows, where there is one."""
        found = self._answers([(sql, parameters)])
        return super().row(sql, parameters) if found is None else found[0].row

    def change(self, sql: str, parameters: Sequence[Any]) -> int:
        """See `ReadsRows.change`: by a statement that the server knows, where there is one."""
        found = self._answers([(sql, parameters)])
        return super().change(sql, parameters) if found is None else found[0].count

    def _answers(
        self, statements: Sequence[Statement], *, commits: bool = False
    ) -> list[Answered] | None:
        """See `KnownStatements.answers`."""
        connection = self.connection
        if (
            connection is None
            or self.force_debug_cursor
            or connection.known is None
            or time.monotonic() > connection.planned_until
        ):
            return None
        with self.wrap_database_errors:
            found: list[Answered] | None = connection.known.answers(statements, commits=commits)
            return found

    @contextmanager
    def together(self, *, commits: bool = False) -> Iterator[Callable[[str, Sequence[Any]], Sent]]:
        """See `ReadsRows.together`: in one round trip, which the commit needs none after."""
        if (
            self.connection is None
            or self.force_debug_cursor
            or not psycopg.Pipeline.is_supported()
        ):
            with super().together() as send:
                yield send
            return
        waiting: list[tuple[Statement, Waiting]] = []

        def note(sql: str, parameters: Sequence[Any]) -> Sent:
            waiting.append(((sql, parameters), Waiting()))
            return waiting[-1][1]

        yield note
        statements = [each for each, _ in waiting]
        # A block within another one is not the transaction: that goes on.
        ends = self.in_atomic_block and not self.savepoint_ids and not self.needs_rollback
        done = self._done(statements, commits=commits and ends)
        for (_, one), found in zip(waiting, done, strict=True):
            one.is_done(found)

    def _done(self, statements: Sequence[Statement], *, commits: bool) -> Sequence[Sent]:
        found = self._answers(statements, commits=commits) if statements else []
        if found is not None:
            return found
        with self.wrap_database_errors, self.connection.pipeline():
            return [Sent(self._execute(*each)) for each in statements]

    def _execute(self, sql: str, parameters: Sequence[Any]) -> Any:
        """With the values beside the statement, so that this stays the same and is prepared."""
        now = time.monotonic()
        if now > self.connection.planned_until:
            first_statistics.look_aside(self.alias)
            self.connection.planned_until = now + self.connection.planned_for
            self.connection.planned_for = min(2 * self.connection.planned_for, _PLANNED_FOR)
            psycopg.Cursor(self.connection).execute("DISCARD PLANS", prepare=False)
        return psycopg.Cursor(self.connection).execute(sql, parameters)

    Database = cast(ModuleType, SimpleNamespace(**{**vars(psycopg), "connect": _connect}))
