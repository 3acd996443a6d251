"""Events and receipts end: they are swept once they are older than is wanted, a batch at a time."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db.models import Model
from django.utils import timezone

from registry.models import Event, Receipt
from registry.services import database

_TIMES: list[tuple[type[Model], str]] = [(Event, "at"), (Receipt, "removed_at")]


def sweep(limit: int) -> int:
    """Remove up to `limit` events and as many receipts whose time is over; how many went.

    The oldest first, in order of id: what is younger than its successor waits for it, so that a
    reader never finds a hole. Each kind goes in a transaction of its own.
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
