"""Small jobs that are rows: each says when it is looked at next, and nobody holds it for long.

    waiting ──── due ──► take ──► over: sent, done, failed
       ▲                  │
       └──────────────────┘ later: it failed, or something has to come first

Whoever takes a row moves its time on first, by one conditional update, so that two never both have
it; one who dies leaves it to whoever finds it when that time has come. So each has to bear being
done twice. What takes longer than `LEASE`, and is shown while it runs, is a `leases.LeasedJob`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.db import models
from django.db.models import F, QuerySet
from django.utils import timezone

LEASE = dt.timedelta(minutes=5)
"""Longer than one look takes, with all its attempts."""

MOST_ATTEMPTS = 8
WAITING = "waiting"

Row = TypeVar("Row", bound=models.Model)


@dataclass(frozen=True)
class DueRows(Generic[Row]):
    """The rows of one table that wait for their time.

    Its columns are ``status``, which is ``waiting`` until a row is over, ``due_at``, ``attempts``
    and ``failure_reason``.
    """

    rows: Callable[[], QuerySet[Row]]

    def ids(self, at_once: int) -> list[int]:
        """Of the rows that are due longest, at most so many."""
        due = self.rows().filter(status=WAITING, due_at__lte=timezone.now())
        return list(due.order_by("due_at").values_list("pk", flat=True)[:at_once])

    def take(self, pk: int, *related: str) -> Row | None:
        """The row with its `related` ones, for whoever was the first to move its time on."""
        now = timezone.now()
        due = self.rows().filter(pk=pk, status=WAITING, due_at__lte=now)
        if not due.update(due_at=now + LEASE, attempts=F("attempts") + 1):
            return None
        return self.rows().select_related(*related).filter(pk=pk).first()

    def later(self, row: Row, pause: dt.timedelta, **columns: Any) -> None:
        """Look again after a `pause`, unless somebody has ended it meanwhile."""
        self._waiting(row).update(due_at=timezone.now() + pause, **columns)

    def end(self, row: Row, status: str, **columns: Any) -> None:
        """The row is over, unless it was before."""
        self._waiting(row).update(status=status, **columns)

    def _waiting(self, row: Row) -> QuerySet[Row]:
        return self.rows().filter(pk=row.pk, status=WAITING)
