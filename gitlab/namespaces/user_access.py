"""From rows to a `UserAccess`: the highest level on the way up, in one query.

A level comes from a membership, or from a group whose direct member somebody is and that is invited
(`GroupLink`): then it is the lower of the two. A bot is a member of its own place alone.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any, NamedTuple

from django.db.models import Q, QuerySet
from django.db.models.functions import Least
from django.utils import timezone

from gitlab.namespaces.models import AccessLevel, GroupLink, Member, Namespace, Project, Routable
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
    link_expires_at: dt.date | None


class _Highest(NamedTuple):
    level: int | None


_LOWER = "CASE WHEN m.access_level < l.group_access THEN m.access_level ELSE l.group_access END"
_INVITED = """
FROM namespaces_member m JOIN namespaces_grouplink l ON l.group_id = m.namespace_id
JOIN namespaces_namespace g ON g.id = l.group_id
WHERE m.user_id = %s AND g.pending_delete_at IS NULL
"""
_LEVELS = """
SELECT namespace_id, project_id, access_level, expires_at, NULL FROM namespaces_member
WHERE user_id = %s AND ({})
"""
_LEVELS_INVITED = f"""
UNION ALL SELECT l.namespace_id, l.project_id, {_LOWER}, m.expires_at, l.expires_at
{_INVITED} AND ({{}})
"""
_OWN = """
SELECT namespace_id, project_id, access_level FROM namespaces_member
WHERE user_id = %s AND (expires_at IS NULL OR expires_at > %s)
"""
_OWN_INVITED = f"""
UNION ALL SELECT l.namespace_id, l.project_id, {_LOWER} {_INVITED}
AND (m.expires_at IS NULL OR m.expires_at > %s) AND (l.expires_at IS NULL OR l.expires_at > %s)
"""


def own_levels(person: Person) -> tuple[str, list[Any]]:
    """A query for somebody's levels, wherever they have one, and its parameters.

    Its columns are ``namespace_id``, ``project_id`` and ``access_level``; of the first two one is
    null. A place may have several rows.
    """
    today = timezone.now().date().isoformat()
    if person.is_bot:
        return _OWN, [person.pk, today]
    return _OWN + _OWN_INVITED, [person.pk, today, person.pk, today, today]


def live_members() -> QuerySet[Member]:
    """Memberships that have not expired."""
    today = timezone.now().date()
    return Member.objects.filter(Q(expires_at__isnull=True) | Q(expires_at__gt=today))


def live_links() -> QuerySet[GroupLink]:
    """Invitations of groups that have not expired, nor is the group being deleted."""
    today = timezone.now().date()
    return GroupLink.objects.filter(
        Q(expires_at__isnull=True) | Q(expires_at__gt=today), group__pending_delete_at__isnull=True
    )


def links_above(routable: Routable) -> QuerySet[GroupLink]:
    """Invitations of groups to a project or group, or above it; as far as they hold today."""
    namespace = routable.namespace if isinstance(routable, Project) else routable
    where = Q(namespace__full_path__in=prefixes(namespace.full_path))
    if isinstance(routable, Project):
        where |= Q(project=routable)
    return live_links().filter(where).order_by()


def links_with_members(**more: Any) -> QuerySet[GroupLink]:
    """The live invitations, a row for each person who stands somewhere by one, with their `level`
    there; `more` are conditions on the rows behind.
    """
    today = timezone.now().date()
    still = Q(group__members__expires_at__isnull=True) | Q(group__members__expires_at__gt=today)
    # One call: each condition is about the same member.
    found = live_links().filter(still, group__members__user__user_type="human", **more)
    return found.annotate(level=Least("group_access", "group__members__access_level"))


def links_with_member(user: Any) -> QuerySet[GroupLink]:
    """Those by which somebody stands somewhere; `user` is the id of a row, or a reference to it."""
    return links_with_members(group__members__user_id=user)


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


def _level(user: Person, paths: list[str], project: int | None = None) -> int:
    """Their highest level in the namespaces of these paths, and in a project."""
    own, parameters = own_levels(user)
    above = f"SELECT id FROM namespaces_namespace WHERE full_path IN ({rows.marks(paths)})"
    sql = f"SELECT MAX(access_level) FROM ({own}) AS own WHERE namespace_id IN ({above})"
    parameters += paths
    if project is not None:
        sql += " OR project_id = %s"
        parameters.append(project)
    found = rows.read(_Highest, sql, parameters)
    return int(found[0].level or 0)


def in_namespace(user: Anybody, namespace: Namespace) -> UserAccess:
    """How somebody stands in a namespace. One query, none for visitors and owners."""
    person = somebody(user)
    if person is None:
        return NOBODY
    if namespace.owner_id == person.pk:
        return of_person(person, AccessLevel.OWNER)
    return of_person(person, _level(person, prefixes(namespace.full_path)))


def in_project(user: Anybody, project: Project) -> UserAccess:
    """How somebody stands in a project. One query when `namespace` is loaded."""
    person = somebody(user)
    if person is None:
        return NOBODY
    if project.namespace.owner_id == person.pk:
        return of_person(person, AccessLevel.OWNER)
    above = prefixes(project.namespace.full_path)
    return of_person(person, _level(person, above, project.pk))


def direct_levels(
    user: Person, namespaces: Iterable[int], projects: Iterable[int]
) -> tuple[dict[int, Level], dict[int, Level]]:
    """A person's levels in many groups and projects at once, each without those above: by namespace
    id, by project id. One query.
    """
    namespaces, projects = list(namespaces), list(projects)
    if not namespaces and not projects:
        return {}, {}
    # Written out, since composing it costs several times as much as running it.
    given = [*namespaces, *projects]
    sql, parameters = _LEVELS.format(_at("", namespaces, projects)), [user.pk, *given]
    if not user.is_bot:
        sql += _LEVELS_INVITED.format(_at("l.", namespaces, projects))
        parameters += [user.pk, *given]
    members = rows.read(_MemberRow, sql, parameters)
    today = timezone.now().date()
    by_namespace: dict[int, Level] = {}
    by_project: dict[int, Level] = {}
    for member in members:
        until = min(member.expires_at or dt.date.max, member.link_expires_at or dt.date.max)
        if until <= today:
            continue
        found = Level(member.access_level, until)
        # One of the two is null in each row, by a constraint.
        if member.project_id:
            by_project[member.project_id] = max(found, by_project.get(member.project_id, found))
        elif member.namespace_id:
            pk = member.namespace_id
            by_namespace[pk] = max(found, by_namespace.get(pk, found))
    return by_namespace, by_project


def _at(table: str, namespaces: list[int], projects: list[int]) -> str:
    """A condition on the rows of `table` that are of one of these."""
    return " OR ".join(
        f"{table}{column} IN ({rows.marks(ids)})"
        for column, ids in (("namespace_id", namespaces), ("project_id", projects))
        if ids
    )
