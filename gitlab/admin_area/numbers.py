"""The numbers of the overview. A handful of counts, each on an index."""

from __future__ import annotations

from typing import Any

from django.urls import reverse

from gitlab.accounts.models import User
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import Namespace, Project

_Status = ContainerRepository.Status
_SHOWN = 10


def overview() -> dict[str, Any]:
    """People, groups and projects, images; deletions that wait or have failed."""
    images = ContainerRepository.objects.all()
    waiting = images.filter(status__in=[_Status.DELETE_SCHEDULED, _Status.DELETE_ONGOING])
    failed = images.filter(status=_Status.DELETE_FAILED)
    listed = reverse("admin:container_registry_containerrepository_changelist")
    return {
        "figures": [
            ("Users", User.objects.count(), _changelist("accounts_user")),
            (
                "Groups",
                Namespace.objects.filter(kind=Namespace.Kind.GROUP).count(),
                f"{_changelist('namespaces_namespace')}?kind__exact={Namespace.Kind.GROUP}",
            ),
            ("Projects", Project.objects.count(), _changelist("namespaces_project")),
            ("Images", images.count(), listed),
        ],
        "pending_count": User.objects.filter(state=User.State.PENDING).count(),
        "pending_url": f"{_changelist('accounts_user')}?state__exact={User.State.PENDING}",
        "waiting_count": waiting.count(),
        "failed_count": failed.count(),
        "failed": failed.order_by("-status_changed_at")[:_SHOWN],
        "failed_url": f"{listed}?status__exact={_Status.DELETE_FAILED}",
        "waiting_url": f"{listed}?status__exact={_Status.DELETE_SCHEDULED}",
    }


def _changelist(model: str) -> str:
    return reverse(f"admin:{model}_changelist")
