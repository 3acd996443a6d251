"""From rows to a `UserAccess`: the highest level on the way up, in one query."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import NamedTuple

from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from gitlab.namespaces.models import AccessLevel, Member, Namespace, Project
from gitlab.namespaces.paths import prefixes
from gitlab.namespaces.policies import NOBODY, UserAccess
from gitlab.principals import Anybody, Person, somebody
from gitlab.server.databases import rows


class Level(NamedTuple):
    """A level, and the first day on which it no longer holds. The greater of two holds longer."""

    level: int = 0
    until: dt.date = dt.date.max


class _MemberRow(NamedTuple):
    namespace_id: int | None
    project_id: int | None
    access_level: int
    expires_at: dt.date | None


_LEVELS = """
SELECT namespace_id, project_id, access_level, expires_at FROM namespaces_member
WHERE user_id = %s AND ({})
"""


def live_members() -> QuerySet[Member]:
    """Memberships that have not expired."""
    today = timezone.now().date()
    return Member.objects.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=today))


def of_person(user: Anybody, level: int = 0, until: dt.date | None = None) -> UserAccess:
    """What is known of somebody before any membership is looked at, with `level` added."""
    person = somebody(user)
    if person is None:
        return NOBODY
    return UserAccess(
        signed_in=True,
        external=person.external,
        admin=person.is_superuser,
        level=level,
        until=None if person.is_superuser else until,
    )


def _level(user: Person, where: Q) -> int:
    found = (
        live_members().filter(where, user_id=user.pk).aggregate(level=Max("access_level"))["level"]
    )
    return int(found or 0)


def in_namespace(user: Anybody, namespace: Namespace) -> UserAccess:
    """How somebody stands in a namespace. One query, none for visitors and owners."""
    person = somebody(user)
    if person is None:
        return NOBODY
    if namespace.owner_id == person.pk:
        return of_person(person, AccessLevel.OWNER)
    above = Q(namespace__full_path__in=prefixes(namespace.full_path))
    return of_person(person, _level(person, above))


def in_project(user: Anybody, project: Project) -> UserAccess:
    """How somebody stands in a project. One query when `namespace` is loaded."""
    person = somebody(user)
    if person is None:
        return NOBODY
    if project.namespace.owner_id == person.pk:
        return of_person(person, AccessLevel.OWNER)
    above = Q(namespace__full_path__in=prefixes(project.namespace.full_path))
    return of_person(person, _level(person, above | Q(project=project)))


def direct_levels(
    user: Person, namespaces: Iterable[int], projects: Iterable[int]
) -> tuple[dict[int, Level], dict[int, Level]]:
    """A person's direct levels in many groups and projects at once: by namespace id, by
    project id.
    """
    namespaces, projects = list(namespaces), list(projects)
    if not namespaces and not projects:
        return {}, {}
    # Written out, since composing it costs several times as much as running it.
    where = [
        f"{column} IN ({rows.marks(ids)})"
        for column, ids in (("namespace_id", namespaces), ("project_id", projects))
        if ids
    ]
    members = rows.read(
        _MemberRow, _LEVELS.format(" OR ".join(where)), [user.pk, *namespaces, *projects]
    )
    today = timezone.now().date()
    by_namespace: dict[int, Level] = {}
    by_project: dict[int, Level] = {}
    for member in members:
        if member.expires_at is not None and member.expires_at <= today:
            continue
        found = Level(member.access_level, member.expires_at or dt.date.max)
        # One of the two is null in each row, by a constraint.
        if member.project_id:
            by_project[member.project_id] = found
        elif member.namespace_id:
            by_namespace[member.namespace_id] = found
    return by_namespace, by_project
