"""What the registry says for the overview: where the bytes are, and what its collector removed."""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass, field

from django.db.models import Count, Value
from django.db.models.functions import StrIndex, Substr
from django.urls import reverse

from gitlab.admin_area import activity
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import OwnApi
from gitlab.container_registry.client.responses import Garbage
from gitlab.container_registry.models import ContainerRepository
from gitlab.ui.components.charts import Point
from gitlab.ui.components.values import mebibytes

log = logging.getLogger(__name__)

NAMESPACES = 10
"""Those with the most images: the registry looks each up by itself."""


@dataclass(frozen=True)
class Stored:
    """The bytes and images of a namespace at the top. `bytes` is None while they are counted."""

    path: str
    url: str
    bytes: int | None
    images: int


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


@dataclass(frozen=True)
class Registry:
    """What there is to say. `silence` says why there is nothing."""

    namespaces: list[Stored] = field(default_factory=list)
    collected: Collected | None = None
    silence: str = ""


def registry(answers: bool) -> Registry:
    """Three questions to the registry, each two seconds at most; none where nobody `answers`."""
    if not answers:
        return Registry(silence="The registry does not answer.")
    own = None
    try:
        own = clients.for_overview().own
        if own is None:
            return Registry(silence="This registry has no API that tells what is stored.")
        return Registry(_namespaces(own), _collected(own.garbage()))
    except (RegistryUnavailable, RegistryRefused) as error:
        log.warning("the overview could not ask the registry: %s", error)
        return Registry(silence="The registry does not say what is stored.")


def _namespaces(own: OwnApi) -> list[Stored]:
    """The largest first, of those with the most images."""
    top = Substr("path", 1, StrIndex("path", Value("/")) - 1)
    counted = ContainerRepository.objects.annotate(top=top).values("top").annotate(n=Count("pk"))
    paths = [row["top"] for row in counted.order_by("-n", "top")[:NAMESPACES] if row["top"]]
    if not paths:
        return []
    found = [
        Stored(
            used.path,
            reverse("namespaces:overview", kwargs={"path": used.path}),
            used.bytes if used.is_counted else None,
            used.images,
        )
        for used in own.usage(paths)
    ]
    return sorted(found, key=lambda one: -(one.bytes or 0))


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
