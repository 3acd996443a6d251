"""Reading rows past Django's cursor: what both engines offer to the paths that every token and pull
take.

Django's cursor translates, logs and wraps; that costs twice what SQLite needs to find a row by its
index. This is the only place that goes without it, and it does not where somebody counts queries.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


class Sent:
    """What a statement gives that was sent with others: known when all of them are done."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """All rows. To be asked once."""
        found: list[tuple[Any, ...]] = self._cursor.fetchall()
        return found

    @property
    def row(self) -> tuple[Any, ...] | None:
        """The first row, or None. To be asked once."""
        found = self.rows
        return found[0] if found else None

    @property
    def count(self) -> int:
        """How many rows it has changed."""
        return int(self._cursor.rowcount)


class Answered(Sent):
    """As `Sent`, of an engine that answers at once."""

    def __init__(self, rows: list[tuple[Any, ...]], count: int) -> None:
        self._rows, self._count = rows, count

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """All rows."""
        return self._rows

    @property
    def count(self) -> int:
        """How many rows it has changed."""
        return self._count


class Waiting(Sent):
    """As `Sent`, of an engine that sends only when it has all of them."""

    def __init__(self) -> None:
        self._done: Sent | None = None

    def is_done(self, found: Sent) -> None:
        """Let this give what `found` gives."""
        self._done = found

    @property
    def rows(self) -> list[tuple[Any, ...]]:
        """All rows. To be asked once."""
        assert self._done is not None, "it was not sent yet"
        return self._done.rows

    @property
    def count(self) -> int:
        """How many rows it has changed."""
        assert self._done is not None, "it was not sent yet"
        return self._done.count


class ReadsRows:
    """Mixed into both engines' `DatabaseWrapper`, whose attributes `self` has as well."""

    def rows(self: Any, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        """All rows of a query, as the driver gives them. Raises Django's errors."""
        if self.connection is None or self.force_debug_cursor:
            with self.cursor() as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchall()
        with self.wrap_database_errors:
            return self._execute(sql, parameters).fetchall()

    def row(self: Any, sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
        """The first row of a query, or None. Raises Django's errors."""
        if self.connection is None or self.force_debug_cursor:
            with self.cursor() as cursor:
                cursor.execute(sql, parameters)
                return cursor.fetchone()
        with self.wrap_database_errors:
            return self._execute(sql, parameters).fetchone()

    def change(self: Any, sql: str, parameters: Sequence[Any]) -> int:
        """Run a statement in a transaction; how many rows it changed. Raises Django's errors."""
        if self.connection is None or self.force_debug_cursor:
            with self.cursor() as cursor:
                cursor.execute(sql, parameters)
                return int(cursor.rowcount)
        with self.wrap_database_errors:
            return int(self._execute(sql, parameters).rowcount)

    @contextmanager
    def together(
        self: Any, *, commits: bool = False
    ) -> Iterator[Callable[[str, Sequence[Any]], Sent]]:
        """A function that sends statements which are all done at the end.

        An engine that is elsewhere gets them at once, and waits for none of them. With `commits`
        they are the last of the outermost block's transaction, which it may commit with them: what
        the block does afterwards can't undo them.
        """
        yield self._send

    def _send(self: Any, sql: str, parameters: Sequence[Any]) -> Sent:
        if self.connection is None or self.force_debug_cursor:
            with self.cursor() as cursor:
                cursor.execute(sql, parameters)
                return Answered(cursor.fetchall() if cursor.description else [], cursor.rowcount)
        with self.wrap_database_errors:
            done = self._execute(sql, parameters)
            return Answered(done.fetchall() if done.description else [], done.rowcount)

    def _execute(self: Any, sql: str, parameters: Sequence[Any]) -> Any:
        if self.vendor == "sqlite":
            sql = _with_marks(sql)
        return self.connection.execute(sql, parameters)


@functools.lru_cache(maxsize=1024)
def _with_marks(sql: str) -> str:
    """The query as SQLite's own driver wants it. Ours hold no other percent."""
    return sql.replace("%s", "?")
