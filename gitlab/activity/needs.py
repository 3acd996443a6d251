"""What needs somebody: jobs that have failed, tokens that end, quotas, pushes that were denied."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils import timezone

from gitlab.access_tokens import expiry
from gitlab.access_tokens.models import DeployToken, PersonalAccessToken
from gitlab.audit.models import Denial
from gitlab.container_registry.cleanup.models import CleanupRun
from gitlab.container_registry.models import BulkTagDeletion, ContainerRepository
from gitlab.namespaces import queries
from gitlab.namespaces.models import AccessLevel
from gitlab.principals import Person
from gitlab.quotas.models import Quota

OF_A_KIND = 5
"""Of each kind so many are told; the pages that they stand on have all."""

FAILED = dt.timedelta(days=14)
DENIED = dt.timedelta(days=3)
"""How long what has failed, or was denied, is told."""

QUOTA_WARNING = 80


@dataclass(frozen=True)
class Need:
    """Something to look at: what, why, where, since when (or until when)."""

    title: str
    text: str
    url: str
    icon: str
    tone: str = "warn"
    at: dt.datetime | dt.date | None = None


@dataclass(frozen=True)
class _Mine:
    """What somebody looks after, as subqueries of ids: projects, and groups that they own."""

    by: Person
    projects: QuerySet[Any, Any]
    groups: QuerySet[Any, Any]


def of(by: Person) -> list[Need]:
    """What needs them, the most urgent kinds first. A query for each kind."""
    mine = _Mine(
        by,
        queries.projects_of(by, lowest=AccessLevel.MAINTAINER).order_by().values("pk"),
        queries.groups_of(by, lowest=AccessLevel.OWNER).order_by().values("pk"),
    )
    kinds = (_quotas, _failed_images, _failed_jobs, _failed_cleanups, _tokens, _denials)
    return [need for kind in kinds for need in kind(mine)]


def _quotas(mine: _Mine) -> Iterator[Need]:
    rows = Quota.objects.filter(
        Q(project__in=mine.projects)
        | Q(namespace__in=mine.groups)
        | Q(namespace__owner_id=mine.by.pk),
        used_percent__gte=QUOTA_WARNING,
    )
    for row in rows.select_related("project", "namespace").order_by("-used_percent")[:OF_A_KIND]:
        is_full = row.used_percent >= 100
        yield Need(
            f"{row.used_percent} % of the quota of {row.owner.full_path} is used",
            "Pushes are refused." if is_full else "Delete what nobody needs, or ask for more.",
            _url(f"quotas:{'project' if row.project_id else 'group'}", row.owner.full_path),
            "database",
            "bad" if is_full else "warn",
            row.looked_at,
        )


def _failed_images(mine: _Mine) -> Iterator[Need]:
    rows = ContainerRepository.objects.filter(
        status=ContainerRepository.Status.DELETE_FAILED, project__in=mine.projects
    )
    for row in rows.select_related("project").order_by("-status_changed_at")[:OF_A_KIND]:
        title = f"{row.path} could not be deleted"
        at = row.status_changed_at
        yield Need(
            title,
            row.failure_reason,
            _url("container_registry:repository", row.project.full_path, pk=row.pk),
            "trash-2",
            "bad",
            at,
        )


def _failed_jobs(mine: _Mine) -> Iterator[Need]:
    rows = BulkTagDeletion.objects.filter(
        status=BulkTagDeletion.Status.FAILED,
        repository__project__in=mine.projects,
        finished_at__gt=timezone.now() - FAILED,
    )
    for row in rows.select_related("repository__project").order_by("-finished_at")[:OF_A_KIND]:
        title = f"Tags of {row.repository.path} could not be deleted"
        path = row.repository.project.full_path
        url = _url("container_registry:repository", path, pk=row.repository_id)
        yield Need(title, row.failure_reason, url, "trash-2", "bad", row.finished_at)


def _failed_cleanups(mine: _Mine) -> Iterator[Need]:
    rows = CleanupRun.objects.filter(
        status=CleanupRun.Status.FAILED,
        project__in=mine.projects,
        finished_at__gt=timezone.now() - FAILED,
    )
    for row in rows.select_related("project").order_by("-id")[:OF_A_KIND]:
        url = _url("cleanup:run", row.project.full_path, pk=row.pk)
        title = f"The cleanup of {row.project.full_path} has failed"
        yield Need(title, row.failure_reason, url, "brush-cleaning", "bad", row.finished_at)


def _tokens(mine: _Mine) -> Iterator[Need]:
    if not settings.TOKEN_EXPIRY_WARNING:
        return
    of_places = Q(project__in=mine.projects) | Q(namespace__in=mine.groups)
    own = Q(user_id=mine.by.pk, project=None, namespace=None)
    found = [
        *_ending(PersonalAccessToken.objects.filter(own | of_places).select_related("user")),
        *_ending(DeployToken.objects.filter(of_places)),
    ]
    for token in sorted(found, key=lambda each: (each.expires_at, each.pk))[:OF_A_KIND]:
        whose = f" of {token.owner.full_path}" if token.owner is not None else ""
        kind = "deploy token" if isinstance(token, DeployToken) else "access token"
        yield Need(
            f"The {kind} {token.name}{whose} ends",
            "What uses it is refused from then on.",
            expiry.page_of(token).removeprefix(settings.EXTERNAL_URL),
            "key-round",
            "warn",
            token.expires_at,
        )


def _ending(rows: QuerySet[Any]) -> list[Any]:
    rows = rows.filter(expiry.ending_soon())
    return list(rows.select_related("project", "namespace").order_by("expires_at")[:OF_A_KIND])


def _denials(mine: _Mine) -> Iterator[Need]:
    rows = Denial.objects.filter(
        Q(person_pk=mine.by.pk) | Q(project_pk__in=mine.projects),
        kind=Denial.Kind.SCOPE,
        actions__contains="push",
        last_at__gt=timezone.now() - DENIED,
    )
    for row in rows.order_by("-last_at", "-id")[:OF_A_KIND]:
        who = "You were" if row.person_pk == mine.by.pk else f"{row.name or 'A visitor'} was"
        yield Need(
            f"{who} denied to push to {row.path}",
            row.reason,
            reverse("record:denial", args=[row.reference]),
            "ban",
            "warn",
            row.last_at,
        )


def _url(name: str, path: str, **more: Any) -> str:
    """A page of a project or group; "" where this installation has none."""
    try:
        return reverse(name, kwargs={"path": path, **more})
    except NoReverseMatch:
        return ""
