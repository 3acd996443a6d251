"""What policies start by themselves: each project's run, once a cadence.

Finding what is due costs what is due. A policy of a group or of the installation opens the runs of
its projects a batch at a time, in order of their ids, and remembers how far it has come.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from gitlab.container_registry.cleanup import requests, services
from gitlab.container_registry.cleanup.models import Cadence, CleanupPolicy
from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs import enqueue
from gitlab.namespaces.models import Project, RegistryAccess

_POLICIES = 50
_PROJECTS = 200
"""Of which one step of a policy opens the runs."""


def open_due() -> int:
    """Open the runs of policies whose time has come; how many. May run twice, and at once."""
    due = CleanupPolicy.objects.filter(next_run_at__lte=timezone.now()).order_by("next_run_at")
    rows = due.select_related("project__namespace", "namespace")[:_POLICIES]
    return sum(_open(policy) for policy in rows)


def _open(policy: CleanupPolicy) -> int:
    """The next of a policy's runs, together with the note of how far it has come."""
    projects = list(_projects(policy)[:_PROJECTS])
    with transaction.atomic():
        # Of two at once the second finds the policy further on.
        here = CleanupPolicy.objects.filter(
            pk=policy.pk, next_run_at=policy.next_run_at, opened_up_to=policy.opened_up_to
        )
        if len(projects) == _PROJECTS:
            moved = here.update(opened_up_to=projects[-1].pk)
        else:
            moved = here.update(opened_up_to=0, next_run_at=_next(policy))
        if not moved:
            return 0
        return _open_runs(policy, projects)


def _projects(policy: CleanupPolicy) -> QuerySet[Project]:
    """The projects behind the last one that a policy may be for, and that have images."""
    rows = Project.objects.filter(
        pk__gt=policy.opened_up_to, pending_delete_at=None, archived=False
    )
    images = ContainerRepository.objects.filter(project=OuterRef("pk"))
    rows = rows.filter(Exists(images)).exclude(registry_access=RegistryAccess.DISABLED)
    rows = rows.order_by("pk")
    if policy.project is not None:
        return rows.filter(pk=policy.project.pk)
    if policy.namespace is not None:
        rows = rows.filter(full_path__startswith=f"{policy.namespace.full_path}/")
    return rows.filter(cleanup_policy=None)


def _next(policy: CleanupPolicy) -> dt.datetime:
    """A cadence after the last time, however late that was; never in the past."""
    assert policy.next_run_at is not None
    length, now = Cadence(policy.cadence).length, timezone.now()
    return policy.next_run_at + length * (1 + (now - policy.next_run_at) // length)


def _open_runs(policy: CleanupPolicy, projects: Sequence[Project]) -> int:
    holding = services.effective_policies(projects)
    opened = 0
    for project in projects:
        if holding[project.pk].pk != policy.pk:
            continue
        row = requests.open_by_policy(project, policy)
        if row is not None:
            enqueue.on_commit(requests.TASK, row.pk)
            opened += 1
    return opened
