"""For the overview: where the bytes are, as they were measured, and what the registry says that its
collector removed.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass, field

from gitlab.admin_area import activity
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import Garbage
from gitlab.namespaces.sidebars import url_of
from gitlab.storage.models import Measure
from gitlab.ui.components.charts import Point
from gitlab.ui.components.values import mebibytes

log = logging.getLogger(__name__)

NAMESPACES = 10
"""Those that hold most."""


@dataclass(frozen=True)
class Stored:
    """A namespace at the top, and what was measured at and below it."""

    path: str
    url: str
    measure: Measure


@dataclass(frozen=True)
class Collected:
    """The collector: what waits for it, what it removed, and what the store's check found."""

    due: int = 0
    next_due_at: dt.datetime | None = None
    paused_until: dt.datetime | None = None
    faults: int = 0
    freed: list[Point] = field(default_factory=list)
    removed: int = 0
    bytes: int = 0


def largest() -> list[Stored]:
    """The namespaces at the top that hold most, the largest first. One query."""
    measures = Measure.objects.filter(
        namespace__isnull=False,
        namespace__parent__isnull=True,
        measured_at__isnull=False,
        images__gt=0,
    )
    rows = measures.select_related("namespace").order_by("-size_bytes", "-id")[:NAMESPACES]
    return [
        Stored(row.namespace.full_path, url_of(row.namespace), row) for row in rows if row.namespace
    ]


def collected(answers: bool) -> tuple[Collected | None, str]:
    """What the registry says of its collector, in two seconds at most; or why it says nothing. It
    is not asked where nobody `answers`.
    """
    if not answers:
        return None, "The registry does not answer."
    try:
        own = clients.for_overview().own
        if own is None:
            return None, "This registry has no API that tells what it stores and removes."
        return _collected(own.garbage()), ""
    except (RegistryUnavailable, RegistryRefused) as error:
        log.warning("the overview could not ask the registry: %s", error)
        return None, "The registry does not say what it removes."


def _collected(garbage: Garbage) -> Collected:
    by_day = {each.day: each for each in garbage.removed}
    days = activity.last_days()
    freed = {day: by_day[day].bytes if day in by_day else 0 for day in days}
    return Collected(
        garbage.due,
        garbage.next_due_at,
        garbage.paused_until,
        garbage.faults,
        [Point(activity.name_of(day), count, mebibytes(count)) for day, count in freed.items()],
        sum(by_day[day].count for day in days if day in by_day),
        sum(freed.values()),
    )
