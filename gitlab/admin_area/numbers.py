"""The numbers of the overview. A handful of queries, each on an index."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from gitlab.accounts.models import User
from gitlab.admin_area import activity, failures, parts, stored
from gitlab.admin_area.counts import counted
from gitlab.container_registry.cleanup.models import ACTIVE, CleanupRun
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Namespace, Project
from gitlab.storage.reading import growth_of_all
from gitlab.ui.components.values import mebibytes

_Status = ContainerRepository.Status
_SHOWN = 10
_GROWTH = 30
"""Days."""


def overview() -> dict[str, Any]:
    """How the parts are and how much there is; what was pushed, stored, removed; what has failed
    or waits.
    """
    health = parts.health()
    collected, silence = stored.collected(health.registry_answers)
    counts = counted(_questions() | failures.questions())
    return {
        "figures": _figures(counts),
        "health": health,
        "pushes": activity.pushes(),
        "collected": collected,
        "silence": silence,
        "largest": stored.largest(),
        "growth": [(day, size, mebibytes(size)) for day, size in growth_of_all(_GROWTH)],
        "failures": failures.failures(counts),
        **_deletions(counts),
    }


def _questions() -> dict[str, QuerySet[Any]]:
    return {
        "people": User.objects.filter(user_type="human"),
        "groups": Namespace.objects.filter(kind=Namespace.Kind.GROUP),
        "projects": Project.objects.all(),
        "all_images": ContainerRepository.objects.all(),
        "deletions": _waiting(),
        "under_way": CleanupRun.objects.filter(status__in=ACTIVE),
    }


def _waiting() -> QuerySet[ContainerRepository]:
    return ContainerRepository.objects.filter(
        status__in=[_Status.DELETE_SCHEDULED, _Status.DELETE_ONGOING]
    )


def _figures(counts: Mapping[str, int]) -> list[tuple[str, int, str]]:
    return [
        ("People", counts["people"], reverse("admin_area:people")),
        ("Groups", counts["groups"], reverse("admin_area:groups")),
        ("Projects", counts["projects"], reverse("admin_area:projects")),
        ("Images", counts["all_images"], reverse("admin_area:images")),
    ]


def _deletions(counts: Mapping[str, int]) -> dict[str, Any]:
    """Deletions that wait or have failed, and cleanups that are under way."""
    failed = ContainerRepository.objects.filter(status=_Status.DELETE_FAILED)
    since = _waiting().order_by("status_changed_at").values_list("status_changed_at", flat=True)
    return {
        "waiting_count": counts["deletions"],
        "waiting_first": since.first() if counts["deletions"] else None,
        "cleanups_count": counts["under_way"],
        "failed": failed.order_by("-status_changed_at")[:_SHOWN] if counts["images"] else [],
        "waiting_url": f"{reverse('admin_area:images')}?state={_Status.DELETE_SCHEDULED}",
        "cleanups_url": reverse("admin:cleanup_cleanuprun_changelist"),
    }
