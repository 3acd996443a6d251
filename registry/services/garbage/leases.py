"""Leases that pause the collector: while one lasts no row of content goes, and no bytes do.

A backup dumps the database first and copies bytes second. Whatever the dump names has to be in the
store until it is copied; new bytes may come. A lease ends by itself, so that a backup which was
killed does not stop collection for ever.
"""

from __future__ import annotations

import datetime as dt
import uuid

from django.db import connections
from django.utils import timezone

from registry.models import GarbageLease
from registry.services import database

LONGEST = dt.timedelta(days=2)
"""No lease is longer; one that is needed for longer is renewed."""

_COLLECTING = 0x62657268
"""The number of PostgreSQL's advisory lock that reviews share and a new lease has alone."""


def take(duration: dt.timedelta, reason: str) -> GarbageLease:
    """Pause collection for `duration`, at most `LONGEST`.

    When this returns, every review that was under way has been committed and none can begin.
    """
    with database.atomic():
        _lock(shared=False)
        now = timezone.now()
        GarbageLease.objects.filter(until__lte=now).delete()
        until = now + min(duration, LONGEST)
        return GarbageLease.objects.create(reason=reason[:255], until=until)


def renew(lease_id: uuid.UUID, duration: dt.timedelta) -> bool:
    """Let a lease end `duration` from now; False where it has ended and may have been missed."""
    now = timezone.now()
    found = GarbageLease.objects.filter(pk=lease_id, until__gt=now)
    return bool(found.update(until=now + min(duration, LONGEST)))


def end(lease_id: uuid.UUID | None = None) -> int:
    """End one lease, or all of them; how many there were."""
    leases = GarbageLease.objects.all()
    if lease_id is not None:
        leases = leases.filter(pk=lease_id)
    count, _ = leases.delete()
    return count


def current() -> GarbageLease | None:
    """The lease that lasts longest, None where collection goes on."""
    return GarbageLease.objects.filter(until__gt=timezone.now()).order_by("-until").first()


def is_paused() -> bool:
    """Whether a review that has begun a transaction has to let go.

    To be asked in the transaction that removes something: a lease that is taken afterwards waits
    until it has been committed. SQLite's transactions take turns by themselves.
    """
    _lock(shared=True)
    return current() is not None


def _lock(*, shared: bool) -> None:
    if connections[database.ALIAS].vendor == "postgresql":
        kind = "_shared" if shared else ""
        database.one(f"SELECT pg_advisory_xact_lock{kind}(%s)::text", [_COLLECTING])
