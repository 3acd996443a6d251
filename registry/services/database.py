"""The registry's database: its alias, its transactions, and the lock on a repository.

Every transaction that changes a repository holds the repository's row first, so that pushes,
deletions and the collector take turns in one repository and never wait for each other in a ring.
On SQLite a transaction takes the only writer's lock at its start (``transaction_mode=IMMEDIATE``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections, transaction

ALIAS = "registry"
_OPENINGS = 0x6265727468
"""The number of PostgreSQL's advisory lock: any, but always the same."""


def atomic() -> transaction.Atomic:
    """A transaction in the registry's database."""
    return transaction.atomic(using=ALIAS)


def on_commit(function: Any) -> None:
    """Call `function` when the transaction under way has been committed."""
    transaction.on_commit(function, using=ALIAS)


def one(sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """The first row of a query, without the ORM: for the paths that every pull takes."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
        return row


def column(sql: str, parameters: Sequence[Any]) -> list[Any]:
    """The first column of a query, without the ORM: for lists of names."""
    with connections[ALIAS].cursor() as cursor:
        cursor.execute(sql, parameters)
        return [row[0] for row in cursor.fetchall()]


def hold_openings(*, others_too: bool) -> None:
    """Until the transaction ends, nobody renames; with `others_too` nobody opens a name either.

    A name that is about to be opened has no row to hold yet, so a rename could not wait for it.
    Needs nothing on SQLite, whose transactions take turns. To be called before any row is held.
    """
    if connections[ALIAS].vendor == "postgresql":
        kind = "" if others_too else "_shared"
        one(f"SELECT pg_advisory_xact_lock{kind}(%s)::text", [_OPENINGS])


def row_lock() -> str:
    """What a SELECT ends with to hold its row until the commit; nothing on SQLite."""
    return " FOR NO KEY UPDATE" if connections[ALIAS].vendor == "postgresql" else ""
