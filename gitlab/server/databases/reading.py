"""Reading rows past Django's cursor: what both engines offer to the paths that every token and pull
take.

Django's cursor translates, logs and wraps; that costs twice what SQLite needs to find a row by its
index. This is the only place that goes without it, and it does not where somebody counts queries.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any


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

    def _execute(self: Any, sql: str, parameters: Sequence[Any]) -> Any:
        if self.vendor == "sqlite":
            sql = _with_marks(sql)
        return self.connection.execute(sql, parameters)


@functools.lru_cache(maxsize=1024)
def _with_marks(sql: str) -> str:
    """The query as SQLite's own driver wants it. Ours hold no other percent."""
    return sql.replace("%s", "?")
