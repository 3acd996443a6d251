"""Rows that many tests begin with, made once and not once for each of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import transaction


@contextmanager
def shared_rows(blocker: Any) -> Iterator[Callable[[Callable[[], Any]], Any]]:
    """A transaction around those of tests, for a fixture of a module: gives what makes its rows.

        with shared_rows(django_db_blocker) as make:
            yield make(lambda: factories.project("acme/app")).pk

    What a test does to the rows ends with the test. It reads them anew, and does not commit:
    its own transaction is a savepoint in this one. `blocker` is pytest-django's, which keeps those
    from the database who have not asked for it.
    """
    around = transaction.atomic()
    with blocker.unblock():
        around.__enter__()

    def make(rows: Callable[[], Any]) -> Any:
        with blocker.unblock():
            return rows()

    try:
        yield make
    finally:
        with blocker.unblock():
            transaction.set_rollback(True)
            around.__exit__(None, None, None)
