"""Jobs that are rows: whoever holds a row's lease is at it, and nobody else.

              take                 release
    waits ──────────► held ─────────────────────► over, or waits for its next turn
      ▲              │ ▲  │
      │              └─┘  │ give_back: a failure, up to `MAX_FAILURES`
      │             renew │
      └───────────────────┘

A worker takes a row by one conditional update, so that two never both have it, and renews the lease
with each step. One that was killed stops renewing, and after `STALE` another takes the row over; a
worker that finds its lease gone lets go at once. So each step of a job has to bear being run twice.

What a row's statuses are called, and what is done while it is held, is said by whose job it is.
"""

from __future__ import annotations

import datetime as dt
import random
import uuid
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from django.db import models
from django.db.models import Q, QuerySet
from django.utils import timezone

STALE = dt.timedelta(minutes=5)
"""Longer than one step may take with all its attempts, so that nobody is robbed while at work."""

MAX_FAILURES = 5
FIRST_DELAY = dt.timedelta(seconds=15)
"""Before the second attempt, about; each further one waits three times as long."""

UNOWNED: dict[str, Any] = {"lease": None, "lease_renewed_at": None}
"""The columns of a row that nobody holds."""

_LONGEST_REASON = 500


class Outcome(Enum):
    """What came of one attempt."""

    DONE = "done"
    MORE = "goes on at its next turn"
    NOT_OURS = "nothing to do, or somebody else is at it"
    LATER = "failed, to be tried again"
    FAILED = "failed for good"


class LeaseLost(Exception):
    """Somebody else has taken the job over, or it has been ended."""


class LeasedJob(models.Model):
    """The columns of a row that is a job."""

    lease = models.UUIDField(null=True, blank=True, editable=False)
    lease_renewed_at = models.DateTimeField(null=True, blank=True, editable=False)
    next_attempt_at = models.DateTimeField(null=True, blank=True, editable=False)
    failure_reason = models.CharField(max_length=_LONGEST_REASON, blank=True)

    class Meta:
        abstract = True


Job = TypeVar("Job", bound=LeasedJob)


@dataclass(frozen=True)
class Leases(Generic[Job]):
    """The leases of the jobs of one table.

    A worker has something to do for those whose status is one of `active`; which of them are held
    their leases say. `failures` is the name of the column that counts failed attempts.
    """

    jobs: models.Manager[Job]
    active: Collection[str]
    failures: str = "failures"

    def due(self, order_by: str, most: int) -> list[int]:
        """The ids of at most so many jobs that may be taken now, in an order."""
        rows = self._takeable(timezone.now()).order_by(order_by)
        return list(rows.values_list("pk", flat=True)[:most])

    def held_count(self) -> int:
        """How many are worked at, those left by a killed worker not counted."""
        fresh = timezone.now() - STALE
        return self._active().filter(lease_renewed_at__gte=fresh).count()

    def take(self, pk: int, *related: str, **columns: Any) -> Job | None:
        """Make a job ours by one conditional update, which changes `columns` too.

        None where it does not wait, or another worker was faster. `related` comes along.
        """
        now, lease = timezone.now(), uuid.uuid4()
        rows = self._takeable(now).filter(pk=pk)
        if not rows.update(lease=lease, lease_renewed_at=now, **columns):
            return None
        taken = self.jobs.filter(pk=pk, lease=lease)
        return (taken.select_related(*related) if related else taken).first()

    def ours(self, row: Job) -> QuerySet[Job]:
        """The row, as long as it is ours: none otherwise."""
        return self._active().filter(pk=row.pk, lease=row.lease)

    def renew(self, row: Job, **columns: Any) -> bool:
        """Whether the job is still ours; `columns` change only then."""
        return bool(self.ours(row).update(lease_renewed_at=timezone.now(), **columns))

    def require(self, row: Job, **columns: Any) -> None:
        """As `renew`. Raises `LeaseLost` where the job is not ours any more."""
        if not self.renew(row, **columns):
            raise LeaseLost

    def release(self, row: Job, **columns: Any) -> bool:
        """Let go of a job, which `columns` say is over or waits; whether it was still ours."""
        return bool(self.ours(row).update(**UNOWNED, **columns))

    def give_back(
        self,
        row: Job,
        reason: str,
        fail: Callable[..., Outcome],
        *,
        counts: bool = True,
        **columns: Any,
    ) -> Outcome:
        """Let a job wait for another attempt, and say why; `columns` are those of one that waits.

        Where it has failed too often `fail` ends it instead: it is called with the columns that say
        so. What is no fault of the job's own does not count as a failure.
        """
        count = getattr(row, self.failures) + (1 if counts else 0)
        said = {self.failures: count, "failure_reason": reason[:_LONGEST_REASON]}
        if count >= MAX_FAILURES:
            return fail(**said)
        at = timezone.now() + delay(count)
        changed = self.release(row, **said, **columns, next_attempt_at=at)
        return Outcome.LATER if changed else Outcome.NOT_OURS

    def _active(self) -> QuerySet[Job]:
        return self.jobs.filter(status__in=self.active)

    def _takeable(self, now: dt.datetime) -> QuerySet[Job]:
        rests = Q(lease=None) & (Q(next_attempt_at=None) | Q(next_attempt_at__lte=now))
        return self._active().filter(rests | Q(lease_renewed_at__lt=now - STALE))


def delay(failures: int) -> dt.timedelta:
    """How long a job waits after so many failures: not all as long, so that what has failed
    together is not tried together.
    """
    return FIRST_DELAY * 3 ** max(0, failures - 1) * random.uniform(0.8, 1.2)  # noqa: S311
