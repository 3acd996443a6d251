"""Reading what has happened in Berth's registry, in order, by a cursor in GitLab's database.

The cursor moves when a part has been worked off: a worker that dies in between reads it again,
which does no harm. Two at the same time do the same twice, and the cursor moves once.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from django.conf import settings
from django.utils import timezone

from gitlab.container_registry import pushes
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import Happened
from gitlab.container_registry.models import EventCursor
from gitlab.container_registry.pushes import Push

BATCH = 500
BUDGET = 30.0
"""Seconds of one task."""

_BRING = {"push", "restore"}


def read(registry: Registry | None = None, *, budget: float = BUDGET) -> int:
    """Read on where the last one stopped, until nothing is left or the time is up; how many.

    Raises `RegistryUnavailable`, `RegistryRefused`; what was read before stays read.
    """
    registry = registry or clients.for_jobs()
    own = registry.own
    if own is None:
        return 0
    cursor, _ = EventCursor.objects.get_or_create(registry=settings.CONTAINER_REGISTRY_API_URL)
    until = time.monotonic() + budget
    done = 0
    while time.monotonic() < until:
        found = own.events(cursor.position, BATCH)
        if not found:
            if cursor.position and not own.events(cursor.position - 1, 1):
                # What we have read last is not there: this is another registry, or an older state.
                _move(cursor, 0)
                continue
            break
        pushes.note(_pushes(found), registry)
        done += len(found)
        if not _move(cursor, found[-1].id):
            break
    return done


def _pushes(events: Sequence[Happened]) -> list[Push]:
    """What made an image be there. Of a blob nobody is told: it is no image yet."""
    now = timezone.now()
    return [
        Push(event.path, event.at or now, event.actor) for event in events if event.action in _BRING
    ]


def _move(cursor: EventCursor, position: int) -> bool:
    """Whether nobody else has moved it meanwhile."""
    moved = EventCursor.objects.filter(pk=cursor.pk, position=cursor.position).update(
        position=position, read_at=timezone.now()
    )
    cursor.position = position
    return bool(moved)
