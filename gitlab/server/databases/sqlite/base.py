"""The engine ``gitlab.server.databases.sqlite``: who finds the database locked waits here, and not
inside SQLite.

SQLite has one writer at a time. Whoever finds another writing sleeps and asks again. SQLite's own
handler does that with two faults:

- It holds the connection's mutex while it sleeps. A thread that writes may come upon a forgotten
  cursor of that connection, when Python collects garbage, and wants the same mutex to close it:
  then the one waits for the other until the timeout.
- It asks less and less often, in the end ten times a second. Who has waited longest asks most
  rarely, and one that writes without a break is met between two transactions by luck only.

Here every connection asks each millisecond, so that all have the same chance, and holds a shared
lock on a file beside the database meanwhile. `DatabaseWrapper.others_wait` looks at it: whoever has
much to write makes room then.

Source: sqlite3_busy_timeout, https://www.sqlite.org/c3ref/busy_timeout.html
"""

from __future__ import annotations

import fcntl
import functools
import os
import sqlite3
import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db.backends.sqlite3 import base

from gitlab.server.databases.reading import ReadsRows

_PAUSE = 0.001
"""Seconds between two attempts."""

_SUFFIX = "-waiting"

Found = TypeVar("Found")


class PatientConnection(sqlite3.Connection):
    """A connection whose statements wait for their turn, for `patience` seconds at most."""

    patience = 0.0
    waiting: int | None = None
    """The open file whose shared lock says that somebody waits; None in memory."""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        """See `sqlite3.Connection.execute`."""
        try:
            return super().execute(*arguments)
        except sqlite3.OperationalError as error:
            return self.in_turn(error, lambda: sqlite3.Connection.execute(self, *arguments))

    def in_turn(self, error: sqlite3.OperationalError, attempt: Callable[[], Found]) -> Found:
        """What `attempt` gives as soon as nobody else has the lock that it failed for.

        Raises `error` at once where it is another one, or where this connection holds something
        itself: then the others may be waiting for it.
        """
        if not _is_busy(error) or self.in_transaction or not self.patience:
            raise error
        until = time.monotonic() + self.patience
        if self.waiting is not None:
            fcntl.flock(self.waiting, fcntl.LOCK_SH)
        try:
            while True:
                time.sleep(_PAUSE)
                try:
                    return attempt()
                except sqlite3.OperationalError as again:
                    if not _is_busy(again) or time.monotonic() > until:
                        raise
        finally:
            if self.waiting is not None:
                fcntl.flock(self.waiting, fcntl.LOCK_UN)

    def close(self) -> None:
        """See `sqlite3.Connection.close`."""
        self._forget()
        super().close()

    def _forget(self) -> None:
        if self.waiting is not None:
            os.close(self.waiting)
            self.waiting = None

    # A thread that ends drops its connections without closing them.
    __del__ = _forget


class PatientCursor(base.SQLiteCursorWrapper):
    """Django's cursor, on such a connection."""

    connection: PatientConnection

    def execute(self, query: str, params: Any = None) -> Any:
        """See Django's."""
        try:
            return super().execute(query, params)
        except sqlite3.OperationalError as error:
            again = super().execute
            return self.connection.in_turn(error, lambda: again(query, params))


class DatabaseWrapper(ReadsRows, base.DatabaseWrapper):
    """Django's, with connections and cursors of ours."""

    def get_connection_params(self) -> dict[str, Any]:
        """See Django's. SQLite itself waits for nothing; here ``OPTIONS["timeout"]`` says
        how long.
        """
        parameters = super().get_connection_params()
        in_memory = self.is_in_memory_db()
        return {
            **parameters,
            "timeout": 0,
            "factory": functools.partial(
                _opened,
                patience=float(parameters.get("timeout", 5)),
                waiting=None if in_memory else f"{self.settings_dict['NAME']}{_SUFFIX}",
            ),
        }

    def create_cursor(self, name: str | None = None) -> PatientCursor:
        """See Django's."""
        cursor: PatientCursor = self.connection.cursor(factory=PatientCursor)
        return cursor

    def _start_transaction_under_autocommit(self) -> None:
        """See Django's: without its cursor, which takes twice as long as the transaction."""
        if self.force_debug_cursor:
            super()._start_transaction_under_autocommit()  # type: ignore[misc]
            return
        mode = self.transaction_mode or ""  # type: ignore[attr-defined]
        with self.wrap_database_errors:
            self.connection.execute(f"BEGIN {mode}")

    def others_wait(self) -> bool:
        """Whether a connection waits for a lock now, in this process or another."""
        self.ensure_connection()
        waiting = self.connection.waiting
        if waiting is None:
            return False
        try:
            fcntl.flock(waiting, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        fcntl.flock(waiting, fcntl.LOCK_UN)
        return False


def _opened(
    *arguments: Any, patience: float, waiting: str | None, **options: Any
) -> PatientConnection:
    connection = PatientConnection(*arguments, **options)
    connection.patience = patience
    if waiting is not None:
        try:
            connection.waiting = os.open(waiting, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            # No descriptor is left, or no room: what SQLite says where it happens to a file of its
            # own.
            connection.close()
            raise sqlite3.OperationalError(f"unable to open {waiting}: {error}") from error
    return connection


def _is_busy(error: sqlite3.OperationalError) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_BUSY
