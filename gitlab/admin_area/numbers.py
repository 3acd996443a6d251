"""The numbers of the overview. A handful of counts, each on an index."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from gitlab.accounts.models import User
from gitlab.admin_area import activity, failures, parts, stored
from gitlab.container_registry.cleanup.models import ACTIVE, CleanupRun
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Namespace, Project

_Status = ContainerRepository.Status
_SHOWN = 10


def overview() -> dict[str, Any]:
    """How the parts are and how much there is; what was pushed, stored, removed; what has failed
    or waits.
    """
    health = parts.health()
    return {
        "figures": _figures(),
        "health": health,
        "pushes": activity.pushes(),
        "registry": stored.registry(health.registry_answers),
        "failures": failures.failures(),
        **_deletions(),
    }


def _figures() -> list[tuple[str, int, str]]:
    groups = Namespace.objects.filter(kind=Namespace.Kind.GROUP)
    only_groups = f"?kind__exact={Namespace.Kind.GROUP}"
    return [
        ("People", User.objects.filter(user_type="human").count(), reverse("admin_area:people")),
        ("Groups", groups.count(), _changelist("namespaces_namespace") + only_groups),
        ("Projects", Project.objects.count(), reverse("admin_area:projects")),
        (
            "Images",
            ContainerRepository.objects.count(),
            _changelist("container_registry_containerrepository"),
        ),
    ]


def _deletions() -> dict[str, Any]:
    """Deletions that wait or have failed, and cleanups that are under way."""
    images = ContainerRepository.objects.all()
    waiting = images.filter(status__in=[_Status.DELETE_SCHEDULED, _Status.DELETE_ONGOING])
    failed = images.filter(status=_Status.DELETE_FAILED)
    listed = _changelist("container_registry_containerrepository")
    return {
        "waiting_count": waiting.count(),
        "waiting_first": waiting.order_by("status_changed_at")
        .values_list("status_changed_at", flat=True)
        .first(),
        "cleanups_count": CleanupRun.objects.filter(status__in=ACTIVE).count(),
        "failed": failed.order_by("-status_changed_at")[:_SHOWN],
        "waiting_url": f"{listed}?status__exact={_Status.DELETE_SCHEDULED}",
        "cleanups_url": _changelist("cleanup_cleanuprun"),
    }


def _changelist(model: str) -> str:
    return reverse(f"admin:{model}_changelist")
