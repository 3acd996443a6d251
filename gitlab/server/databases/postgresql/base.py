"""The engine ``gitlab.server.databases.postgresql``: a server that does not answer is given up
after a while.

``OPTIONS["patience"]`` is how many seconds a query may go without an answer. A server that works
ends a long statement by itself, by ``statement_timeout``; this is for one that hangs, or whose
machine is gone without a word.
"""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any, cast

import psycopg
from django.db.backends.postgresql import base
from psycopg import errors

from gitlab.server.databases.reading import ReadsRows

PATIENCE = "patience"


class PatientConnection(psycopg.Connection[Any]):
    """A connection that is closed where the server leaves a query without an answer."""

    patience: float | None = None

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


def _connect(*arguments: Any, patience: float | None = None, **options: Any) -> Any:
    connection = PatientConnection.connect(*arguments, **options)
    connection.patience = patience
    return connection


class DatabaseWrapper(ReadsRows, base.DatabaseWrapper):
    """Django's, with connections of ours."""

    Database = cast(ModuleType, SimpleNamespace(**{**vars(psycopg), "connect": _connect}))
