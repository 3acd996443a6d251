"""What somebody gets to see in lists. All are querysets, ordered by full path, which is indexed.

`pagination.page` walks any of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet
from django.db.models.expressions import RawSQL

from gitlab import principals
from gitlab.namespaces import user_access
from gitlab.namespaces.models import (
    AccessLevel,
    Namespace,
    PathChange,
    Project,
    RegistryAccess,
    Routable,
    Visibility,
)
from gitlab.namespaces.paths import prefixes
from gitlab.principals import Anybody, Person

Row = TypeVar("Row", Project, Namespace)


MAX_CHOICES = 500
"""Namespaces that a form offers. Those behind them have a link on their own page."""

# Followed by ids, level by level: a condition for each group would grow with how many there are,
# and SQLite takes a thousand.
_BELOW = """
WITH RECURSIVE below(id) AS (
    SELECT namespace_id FROM ({}) AS own WHERE access_level >= %s AND namespace_id IS NOT NULL
    UNION SELECT n.id FROM namespaces_namespace n JOIN below ON n.parent_id = below.id
) SELECT id FROM below
"""
_ABOVE = """
WITH RECURSIVE above(id) AS (
    SELECT COALESCE(g.parent_id, p.namespace_id) FROM ({}) AS own
    LEFT JOIN namespaces_namespace g ON g.id = own.namespace_id
    LEFT JOIN namespaces_project p ON p.id = own.project_id
    WHERE own.access_level >= %s
    UNION SELECT n.parent_id FROM namespaces_namespace n JOIN above ON n.id = above.id
) SELECT id FROM above WHERE id IS NOT NULL
"""

_PROJECTS = "SELECT project_id FROM ({}) AS own WHERE access_level >= %s AND project_id IS NOT NULL"


def _of_member(sql: str, person: Person, lowest: int = AccessLevel.GUEST) -> RawSQL:
    """Ids of namespaces at and below a person's groups, or above what they belong to; of projects.

    They belong to a group or project by membership, or by a group of theirs that is invited.
    """
    own, parameters = user_access.own_levels(person)
    return RawSQL(sql.format(own), [*parameters, int(lowest)])  # noqa: S611  (the three above)


def _member_of(person: Person, lowest: int = AccessLevel.GUEST) -> Q:
    """A project that is somebody's own, or that they belong to, also by a group above it."""
    return (
        Q(namespace__owner_id=person.pk)
        | Q(pk__in=_of_member(_PROJECTS, person, lowest))
        | Q(namespace_id__in=_of_member(_BELOW, person, lowest))
    )


def _matching(rows: QuerySet[Row], search: str) -> QuerySet[Row]:
    text = search.strip().lower()
    return rows.filter(Q(full_path__contains=text) | Q(name__icontains=text)) if text else rows


def _visibilities(user: Anybody) -> list[str]:
    person = principals.somebody(user)
    if person is None or person.external:
        return [Visibility.PUBLIC]
    return [Visibility.PUBLIC, Visibility.INTERNAL]


def projects_of(
    user: Anybody, *, search: str = "", lowest: int = AccessLevel.GUEST
) -> QuerySet[Project]:
    """The projects that somebody belongs to with at least `lowest`, also inherited: their own, and
    by membership.
    """
    person = principals.somebody(user)
    mine = Q(pk__in=[]) if person is None else _member_of(person, lowest)
    rows = Project.objects.filter(mine, pending_delete_at__isnull=True)
    return _matching(rows.select_related("namespace").order_by("full_path"), search)


def projects_visible_to(
    user: Anybody, *, search: str = "", namespace: Namespace | None = None
) -> QuerySet[Project]:
    """The projects that somebody may see; `namespace` limits to those directly in it."""
    rows = Project.objects.filter(pending_delete_at__isnull=True)
    person = principals.somebody(user)
    if person is None or not person.is_superuser:
        seen = Q(visibility__in=_visibilities(user))
        if person is not None:
            seen |= _member_of(person)
        rows = rows.filter(seen)
    if namespace is not None:
        rows = rows.filter(namespace=namespace)
    return _matching(rows.select_related("namespace").order_by("full_path"), search)


def groups_of(
    user: Anybody, *, search: str = "", lowest: int = AccessLevel.GUEST
) -> QuerySet[Namespace]:
    """The groups that somebody belongs to with at least `lowest`, also inherited."""
    person = principals.somebody(user)
    mine = Q(pk__in=[] if person is None else _of_member(_BELOW, person, lowest))
    rows = Namespace.objects.filter(mine, kind=Namespace.Kind.GROUP, pending_delete_at__isnull=True)
    return _matching(rows.order_by("full_path"), search)


def groups_visible_to(
    user: Anybody, *, search: str = "", parent: Namespace | None = None, top_only: bool = False
) -> QuerySet[Namespace]:
    """The groups that somebody may see; `parent` limits to those directly in it."""
    rows = Namespace.objects.filter(kind=Namespace.Kind.GROUP, pending_delete_at__isnull=True)
    person = principals.somebody(user)
    if person is None or not person.is_superuser:
        seen = Q(visibility__in=_visibilities(user))
        if person is not None:
            seen |= Q(pk__in=_of_member(_BELOW, person))
            # Who belongs to something deeper sees the groups on the way to it.
            seen |= Q(pk__in=_of_member(_ABOVE, person))
        rows = rows.filter(seen)
    if parent is not None:
        rows = rows.filter(parent=parent)
    elif top_only:
        rows = rows.filter(parent__isnull=True)
    return _matching(rows.order_by("full_path"), search)


def projects_with_readable_images(user: Anybody) -> QuerySet[Project]:
    """The projects whose images somebody may read, as `policies.project_abilities` says of each."""
    rows = Project.objects.filter(pending_delete_at__isnull=True).exclude(
        registry_access=RegistryAccess.DISABLED
    )
    person = principals.somebody(user)
    if person is not None and person.is_superuser:
        return rows.order_by("full_path")
    seen = Q(visibility__in=_visibilities(user), registry_access=RegistryAccess.ENABLED)
    if person is not None:
        seen |= _member_of(person, AccessLevel.REPORTER)
    return rows.filter(seen).order_by("full_path")


def projects_at_or_below(rows: QuerySet[Project], namespace: Namespace) -> QuerySet[Project]:
    """Those of `rows` that are in a namespace, or in a group below it."""
    return rows.filter(full_path__startswith=f"{namespace.full_path}/")


def at_or_below(routable: Routable) -> QuerySet[Namespace]:
    """A namespace and those below it, whoever sees them."""
    path = routable.full_path
    found = Namespace.objects.filter(Q(full_path=path) | Q(full_path__startswith=f"{path}/"))
    return found.order_by()


def groups_below(user: Anybody, group: Namespace, *, search: str = "") -> QuerySet[Namespace]:
    """The groups that somebody may see at any depth below `group`."""
    rows = groups_visible_to(user, search=search)
    return rows.filter(full_path__startswith=f"{group.full_path}/")


def namespaces_of(user: Anybody, *, search: str = "") -> QuerySet[Namespace]:
    """A person's own namespace and the groups that they belong to; all for administrators."""
    person = principals.somebody(user)
    rows = Namespace.objects.filter(pending_delete_at__isnull=True)
    if person is None or not person.is_superuser:
        mine = Q(pk__in=[])
        if person is not None:
            mine = Q(owner_id=person.pk) | Q(pk__in=_of_member(_BELOW, person))
        rows = rows.filter(mine)
    return _matching(rows.order_by("full_path"), search)


def full_names(paths: Iterable[str]) -> dict[str, str]:
    """The names of the namespaces of these paths with those of the groups above: "Acme / Tools"."""
    asked = set(paths)
    wanted = {prefix for path in asked for prefix in prefixes(path)}
    rows = Namespace.objects.filter(full_path__in=wanted).order_by()
    names = dict(rows.values_list("full_path", "name"))
    return {
        path: " / ".join(names[prefix] for prefix in prefixes(path) if prefix in names)
        for path in asked
    }


def namespaces_to_create_in(user: Anybody, also: str = "") -> list[Namespace]:
    """Where somebody may create a project: their own namespace first, then groups.

    At most `MAX_CHOICES` of these, and the one of the path `also`.
    """
    person = principals.somebody(user)
    if person is None or (person.external and not person.is_superuser):
        return []
    own = list(Namespace.objects.filter(owner_id=person.pk))
    if person.is_superuser:
        return own + _choices(groups_visible_to(person), also)
    return own + _choices(groups_of(person, lowest=AccessLevel.DEVELOPER), also)


def groups_to_transfer_to(
    user: Person, routable: Routable, *, search: str = ""
) -> QuerySet[Namespace]:
    """The groups into which somebody may transfer a project or group: not where it is already."""
    if user.is_superuser:
        rows = groups_visible_to(user, search=search)
    elif user.external:
        rows = Namespace.objects.none()
    else:
        lowest = AccessLevel.DEVELOPER if isinstance(routable, Project) else AccessLevel.MAINTAINER
        rows = groups_of(user, search=search, lowest=lowest)
    if isinstance(routable, Project):
        return rows.exclude(pk=routable.namespace_id)
    inside = Q(pk=routable.pk) | Q(full_path__startswith=f"{routable.full_path}/")
    return rows.exclude(inside | Q(pk=routable.parent_id or 0))


def groups_to_create_in(user: Person, also: str = "") -> list[Namespace]:
    """Where somebody may create a group, as `namespaces_to_create_in`."""
    if user.is_superuser:
        return _choices(groups_visible_to(user), also)
    if user.external:
        return []
    return _choices(groups_of(user, lowest=AccessLevel.MAINTAINER), also)


def _choices(rows: QuerySet[Namespace], also: str) -> list[Namespace]:
    found = list(rows[:MAX_CHOICES])
    # PostgreSQL has no word for a NUL.
    also = also.replace("\0", "").lower()
    if also and all(each.full_path != also for each in found):
        found += rows.filter(full_path=also)
    return found


def path_change_of(routable: Routable) -> PathChange | None:
    """What is being done to the path of a project or group, if anything."""
    if isinstance(routable, Project):
        return PathChange.objects.filter(project=routable).first()
    return PathChange.objects.filter(namespace=routable).first()


def is_path_changing(path: str) -> bool:
    """Whether the full path of an image, or of something above it, is being changed."""
    return PathChange.objects.filter(old_path__in=prefixes(path)).exists()


def people_found(by: Person, text: str) -> list[Person]:
    """Whom somebody means who writes a user name, or else a whole name: two at most.

    Administrators are understood by a mail address too; from others it would tell whose it is.
    """
    text = text.strip().removeprefix("@").replace("\0", "")
    people = get_user_model().objects.filter(state="active", user_type="human")
    found: list[Person] = list(people.filter(username=text.lower()))
    if not found and by.is_superuser and "@" in text:
        found = list(people.filter(email__iexact=text)[:2])
    if not found and text:
        found = list(people.filter(name__iexact=text).order_by("username")[:2])
    return found
