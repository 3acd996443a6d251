"""Reading what has happened in Berth's registry, in order: each reader by a cursor of its own.

A cursor moves when a part has been worked off: a worker that dies in between reads it again, which
does no harm. Two at the same time do the same twice, and the cursor moves once.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from gitlab.container_registry import pushes, recorded_events
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import OwnApi, Registry
from gitlab.container_registry.client.responses import Happened
from gitlab.container_registry.models import EventCursor
from gitlab.container_registry.pushes import Push

log = logging.getLogger(__name__)

BATCH = 500
BUDGET = 30.0
"""Seconds of one task, for all readers together."""

_BRING = {"push", "restore"}
Reader = Callable[[Sequence[Happened], Registry], object]
"""What is done with a part of the events. May be called twice with the same ones."""


def note_pushes(events: Sequence[Happened], registry: Registry) -> None:
    """Note what made an image be there. Of a blob nobody is told: it is no image yet."""
    now = timezone.now()
    brought = [event for event in events if event.action in _BRING]
    pushes.note([Push(event.path, event.at or now, event.actor) for event in brought], registry)


FIRST = "pushes"
READERS: dict[str, Reader] = {FIRST: note_pushes}
"""By the name of its cursor. One that is added begins where `FIRST` is by then."""


def read(
    registry: Registry | None = None,
    *,
    budget: float = BUDGET,
    readers: Mapping[str, Reader] = READERS,
) -> int:
    """Let each reader read on, until nothing is left or its share of the time is up; how many.

    One that fails is logged, and reads the same part again next time. Raises `RegistryUnavailable`,
    `RegistryRefused`; what was read before stays read.
    """
    registry = registry or clients.for_jobs()
    own = registry.own
    if own is None:
        return 0
    done = 0
    for name, reader in readers.items():
        try:
            done += _read(name, reader, own, budget / len(readers))
        except (RegistryUnavailable, RegistryRefused):
            raise
        except Exception:
            log.exception("the reader %s of the registry's events has failed", name)
    return done


def _read(name: str, reader: Reader, own: OwnApi, budget: float) -> int:
    cursor = _cursor(name)
    until = time.monotonic() + budget
    done = 0
    while time.monotonic() < until:
        found = own.events(cursor.position, BATCH)
        if not found:
            if cursor.position and not own.events(cursor.position - 1, 1):
                # What was read last is not there: this is another registry, or an older state.
                _move(cursor, 0)
                continue
            break
        reader(found, own)
        done += len(found)
        if not _moved(cursor, name, found):
            break
    return done


def _moved(cursor: EventCursor, name: str, found: Sequence[Happened]) -> bool:
    """Whether the cursor has moved behind what was `found`: what goes on record does so with that.

    So each event is recorded once, however often it is read.
    """
    with transaction.atomic():
        if not _move(cursor, found[-1].id):
            return False
        if name == FIRST:
            recorded_events.record_all(found)
        return True


def _cursor(name: str) -> EventCursor:
    """The row of a reader. A new one is not told what happened before it was there."""
    url = settings.CONTAINER_REGISTRY_API_URL
    first = EventCursor.objects.filter(registry=url, reader=FIRST).first()
    cursor, _ = EventCursor.objects.get_or_create(
        registry=url, reader=name, defaults={"position": first.position if first else 0}
    )
    return cursor


def _move(cursor: EventCursor, position: int) -> bool:
    """Whether nobody else has moved it meanwhile."""
    moved = EventCursor.objects.filter(pk=cursor.pk, position=cursor.position).update(
        position=position, read_at=timezone.now()
    )
    cursor.position = position
    return bool(moved)
