"""What a cleanup has really freed, noted on its receipt when the registry's collector is done.

The tags of a run end at once; what they held goes when the undo window and the grace are over. The
registry knows which of that went because of which run, and what still waits.
"""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from gitlab.container_registry.cleanup.models import ENDED, CleanupRun
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import Registry

AT_ONCE = 20
_SOONEST, _LATEST = dt.timedelta(seconds=10), dt.timedelta(hours=1)
"""After which it is asked again about a run for which the collector still has something to do."""


def note_collected(registry: Registry | None = None) -> int:
    """Write down of some runs what was collected, where that is over; of how many.

    Runs of which it can be over: asking costs one call each. Another registry than ours does not
    tell. Raises what the registry's client does.
    """
    own = (registry or clients.for_jobs()).own
    if own is None:
        return 0
    now = timezone.now()
    over = CleanupRun.objects.filter(
        Q(next_attempt_at=None) | Q(next_attempt_at__lte=now),
        status__in=ENDED,
        deleted_count__gt=0,
        collected_at=None,
        finished_at__lte=now - settings.UNDO_WINDOW,
    )
    noted = 0
    for run in over.order_by("finished_at")[:AT_ONCE]:
        # One that somebody begins to undo meanwhile is left alone.
        row = CleanupRun.objects.filter(pk=run.pk, status__in=ENDED)
        found = own.collected(run.cause)
        if found is None or found.waiting:
            again = max(_SOONEST, min(_LATEST, settings.UNDO_WINDOW / 100))
            row.update(next_attempt_at=now + again)
        else:
            at = found.at or now
            noted += row.update(collected_bytes=found.bytes, collected_at=at)
    return noted
