"""What has happened ends too: it is swept once it is older than is wanted, a batch at a time.

Events, receipts, of tags the intervals that are over, and pulls by day. `exporting` hands out the
first three before.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import connections
from django.db.models import Model
from django.utils import timezone

from registry.models import DailyPulls, Event, Receipt, Tag
from registry.services import database
from registry.services.garbage import reviews

_TIMES: list[tuple[type[Model], str]] = [(Event, "at"), (Receipt, "removed_at")]
_BATCH = 500
"""Ids in a query."""


def sweep(limit: int) -> int:
    """Remove what is over: up to `limit` of each kind; how many went.

    Each kind goes in a transaction of its own, the oldest first.
    """
    return _sweep_events(limit) + _sweep_history(limit) + _sweep_pulls(limit)


def _sweep_events(limit: int) -> int:
    """Events and receipts.

    In order of id: what is younger than its successor waits for it, so that a reader never finds a
    hole.
    """
    kept: dt.timedelta = settings.REGISTRY_EVENTS_KEPT
    if not kept:
        return 0
    until = timezone.now() - kept
    return sum(_sweep(model, column, until, limit) for model, column in _TIMES)


def _sweep(model: type[Model], column: str, until: dt.datetime, limit: int) -> int:
    rows = model._default_manager  # noqa: SLF001
    oldest = rows.order_by("pk").values_list("pk", column)[:limit]
    ids: list[int] = []
    for pk, moment in oldest:
        if moment >= until:
            break
        ids.append(pk)
    if not ids:
        return 0
    with database.atomic():
        # One range of the key rather than as many parameters as rows.
        some = rows.filter(pk__gte=ids[0], pk__lte=ids[-1])
        some.filter(**{f"{column}__lt": until}).delete()
    return len(ids)


def _sweep_history(limit: int) -> int:
    """Intervals of tags that are over: longer than is wanted, and than any undo is promised.

    No rule looks at one that ended before the window, so no repository has to be held. On
    PostgreSQL a row that the collector holds is left for the next time, so that the two never wait
    for each other.
    """
    kept: dt.timedelta = settings.REGISTRY_TAG_HISTORY_KEPT
    if not kept:
        return 0
    until = timezone.now() - max(kept, reviews.window())
    over = Tag.objects.filter(ended_at__lt=until).order_by("ended_at")
    ids = list(over.values_list("pk", flat=True)[:limit])
    gone = 0
    for start in range(0, len(ids), _BATCH):
        with database.atomic():
            some = Tag.objects.filter(pk__in=ids[start : start + _BATCH])
            if connections[database.ALIAS].vendor == "postgresql":
                held = some.select_for_update(skip_locked=True).values_list("pk", flat=True)
                some = Tag.objects.filter(pk__in=list(held))
            gone += some.delete()[0]
    return gone


def _sweep_pulls(limit: int) -> int:
    """Numbers of days. How often a manifest was pulled in all, and when last, stays as it does."""
    kept: dt.timedelta = settings.REGISTRY_PULLS_KEPT
    if not kept:
        return 0
    until = (timezone.now() - kept).date()
    ids = list(
        DailyPulls.objects.filter(day__lt=until)
        .order_by("day")
        .values_list("pk", flat=True)[:limit]
    )
    gone = 0
    for start in range(0, len(ids), _BATCH):
        with database.atomic():
            gone += DailyPulls.objects.filter(pk__in=ids[start : start + _BATCH]).delete()[0]
    return gone
