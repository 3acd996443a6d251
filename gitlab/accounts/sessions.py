"""Sessions that have ended by time leave rows behind, which somebody has to sweep."""

from __future__ import annotations

from django.contrib.sessions.models import Session
from django.utils import timezone

BATCH = 1000


def sweep(batches: int = 100) -> int:
    """Remove the rows of sessions that are over, in batches by their index; how many went.

    May run at any time and twice. What `batches` leave is for the next time.
    """
    gone = 0
    for _ in range(batches):
        over = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
        keys = list(over.values_list("pk", flat=True)[:BATCH])
        gone += Session.objects.filter(pk__in=keys).delete()[0]
        if len(keys) < BATCH:
            break
    return gone
