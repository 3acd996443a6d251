"""What GitLab's database and the broker say of jobs, for whoever watches over them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

from django.db.models import Count, Min
from django.utils import timezone

from gitlab.container_registry.cleanup.models import ACTIVE, CleanupRun
from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs import broker
from gitlab.namespaces.models import PathChange

Measure = tuple[str, str, dict[str, str], float]


def measures() -> Iterator[Measure]:
    """Deletions by state and for how long the first has been in it; renames; the worker's queue."""
    now = timezone.now()
    rows = ContainerRepository.objects.exclude(status=None).values("status")
    found = {
        row["status"]: row for row in rows.annotate(n=Count("pk"), first=Min("status_changed_at"))
    }
    for status in ContainerRepository.Status.values:
        row = found.get(status)
        labels = {"state": str(status)}
        age = (now - row["first"]).total_seconds() if row else 0.0
        yield (
            "berth_deletions",
            "Images by state of their deletion.",
            labels,
            row["n"] if row else 0,
        )
        yield "berth_deletions_age_seconds", "How long the first has been in it.", labels, age
    yield from _cleanups(now)
    changes = PathChange.objects.aggregate(n=Count("pk"), first=Min("started_at"))
    begun = (now - changes["first"]).total_seconds() if changes["first"] else 0.0
    yield "berth_path_changes", "Renames and transfers under way.", {}, changes["n"]
    yield "berth_path_changes_age_seconds", "For how long the first has been.", {}, begun
    depth, age = broker.waiting()
    yield "berth_queue_depth", "Tasks that wait for the worker.", {}, depth
    yield "berth_queue_age_seconds", "For how long the first of them has.", {}, age


def _cleanups(now: dt.datetime) -> Iterator[Measure]:
    """Cleanups under way by what is next for them, and for how long the first has been waiting."""
    rows = CleanupRun.objects.filter(status__in=ACTIVE)
    found = dict(rows.values_list("status").annotate(n=Count("pk")))
    for status in ACTIVE:
        labels = {"state": status.value}
        yield "berth_cleanups", "Cleanups under way.", labels, found.get(status, 0)
    first = rows.aggregate(first=Min("turn_at"))["first"]
    age = (now - first).total_seconds() if first else 0.0
    yield "berth_cleanups_age_seconds", "Since when the first waits for its turn.", {}, age
