"""What the collector has removed lately, by day: for whoever watches over it."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from django.db.models import Count, Q, Sum
from django.db.models.functions import TruncDate
from django.utils import timezone

from registry.models import Receipt

DAYS = 14
LATEST = 5_000
"""Receipts that are looked at: a page waits for the answer."""


class Removals(NamedTuple):
    """What went on a day (UTC): how many things, and the bytes that the store got back."""

    day: dt.date
    removed: int
    bytes: int


def by_day() -> list[Removals]:
    """The days of the last `DAYS` on which something went, the first one first.

    Counted are the last `LATEST` receipts at most: of what went before them nothing is said.
    """
    last = Receipt.objects.order_by("-pk").values_list("pk", flat=True).first()
    if last is None:
        return []
    since = timezone.now() - dt.timedelta(days=DAYS)
    days = (
        Receipt.objects.filter(pk__gt=last - LATEST, removed_at__gte=since)
        .annotate(day=TruncDate("removed_at", tzinfo=dt.UTC))
        .values("day")
        # Only a blob's bytes are the store's: a manifest's are counted in what it refers to.
        .annotate(removed=Count("pk"), freed=Sum("bytes", filter=Q(kind="blob")))
        .order_by("day")
    )
    return [Removals(row["day"], row["removed"], row["freed"] or 0) for row in days]
