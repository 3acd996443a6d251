"""What somebody gets to see in lists. All are querysets, ordered by full path, which is indexed.

`pagination.page` walks any of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

from django.contrib.auth import get_user_model
from django.db.models import Q, QuerySet

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


def _memberships(user: Anybody, lowest: int = AccessLevel.GUEST) -> tuple[list[str], list[int]]:
    """Full paths of the groups, and ids of the projects, that somebody is a member of."""
    person = principals.somebody(user)
    if person is None:
        return [], []
    rows = user_access.live_members().filter(user_id=person.pk, access_level__gte=lowest)
    groups: list[str] = []
    projects: list[int] = []
    for path, project in rows.values_list("namespace__full_path", "project_id"):
        # One of the two is null in each row, by a constraint.
        if project:
            projects.append(project)
        else:
            groups.append(path)
    return groups, projects


def _below(paths: Sequence[str]) -> Q:
    where = Q(pk__in=[])
    for path in paths:
        where |= Q(full_path__startswith=f"{path}/")
    return where


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
    groups, projects = _memberships(user, lowest)
    person = principals.somebody(user)
    mine = Q(pk__in=projects) | _below(groups)
    if person is not None:
        mine |= Q(namespace__owner_id=person.pk)
    rows = Project.objects.filter(mine, pending_delete_at__isnull=True)
    return _matching(rows.select_related("namespace").order_by("full_path"), search)


def projects_visible_to(
    user: Anybody, *, search: str = "", namespace: Namespace | None = None
) -> QuerySet[Project]:
    """The projects that somebody may see; `namespace` limits to those directly in it."""
    rows = Project.objects.filter(pending_delete_at__isnull=True)
    person = principals.somebody(user)
    if person is None or not person.is_superuser:
        groups, projects = _memberships(user)
        seen = Q(visibility__in=_visibilities(user)) | Q(pk__in=projects) | _below(groups)
        if person is not None:
            seen |= Q(namespace__owner_id=person.pk)
        rows = rows.filter(seen)
    if namespace is not None:
        rows = rows.filter(namespace=namespace)
    return _matching(rows.select_related("namespace").order_by("full_path"), search)


def groups_of(
    user: Anybody, *, search: str = "", lowest: int = AccessLevel.GUEST
) -> QuerySet[Namespace]:
    """The groups that somebody belongs to with at least `lowest`, also inherited."""
    groups, _ = _memberships(user, lowest)
    mine = Q(full_path__in=groups) | _below(groups)
    rows = Namespace.objects.filter(mine, kind=Namespace.Kind.GROUP, pending_delete_at__isnull=True)
    return _matching(rows.order_by("full_path"), search)


def groups_visible_to(
    user: Anybody, *, search: str = "", parent: Namespace | None = None, top_only: bool = False
) -> QuerySet[Namespace]:
    """The groups that somebody may see; `parent` limits to those directly in it."""
    rows = Namespace.objects.filter(kind=Namespace.Kind.GROUP, pending_delete_at__isnull=True)
    person = principals.somebody(user)
    if person is None or not person.is_superuser:
        groups, projects = _memberships(user)
        seen = Q(visibility__in=_visibilities(user)) | Q(full_path__in=groups)
        seen |= _below(groups)
        if groups or projects:
            # Who belongs to something deeper sees the groups on the way to it.
            inner = Project.objects.filter(pk__in=projects).values_list("full_path", flat=True)
            above = {part for path in [*groups, *inner] for part in _above(path)}
            seen |= Q(full_path__in=above)
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
    groups, projects = _memberships(user, AccessLevel.REPORTER)
    seen = Q(visibility__in=_visibilities(user), registry_access=RegistryAccess.ENABLED)
    seen |= Q(pk__in=projects) | _below(groups)
    if person is not None:
        seen |= Q(namespace__owner_id=person.pk)
    return rows.filter(seen).order_by("full_path")


def projects_at_or_below(rows: QuerySet[Project], namespace: Namespace) -> QuerySet[Project]:
    """Those of `rows` that are in a namespace, or in a group below it."""
    return rows.filter(full_path__startswith=f"{namespace.full_path}/")


def groups_below(user: Anybody, group: Namespace, *, search: str = "") -> QuerySet[Namespace]:
    """The groups that somebody may see at any depth below `group`."""
    rows = groups_visible_to(user, search=search)
    return rows.filter(full_path__startswith=f"{group.full_path}/")


def namespaces_of(user: Anybody, *, search: str = "") -> QuerySet[Namespace]:
    """A person's own namespace and the groups that they belong to; all for administrators."""
    person = principals.somebody(user)
    rows = Namespace.objects.filter(pending_delete_at__isnull=True)
    if person is None or not person.is_superuser:
        groups, _ = _memberships(user)
        mine = Q(full_path__in=groups) | _below(groups)
        rows = rows.filter(mine | Q(owner_id=person.pk) if person is not None else mine)
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


def _above(path: str) -> list[str]:
    segments = path.split("/")
    return ["/".join(segments[:count]) for count in range(1, len(segments))]


def namespaces_to_create_in(user: Anybody) -> list[Namespace]:
    """Where somebody may create a project: their own namespace first, then groups."""
    person = principals.somebody(user)
    if person is None or (person.external and not person.is_superuser):
        return []
    own = list(Namespace.objects.filter(owner_id=person.pk))
    if person.is_superuser:
        return own + list(groups_visible_to(person))
    return own + list(groups_of(person, lowest=AccessLevel.DEVELOPER))


def path_change_of(routable: Routable) -> PathChange | None:
    """What is being done to the path of a project or group, if anything."""
    if isinstance(routable, Project):
        return PathChange.objects.filter(project=routable).first()
    return PathChange.objects.filter(namespace=routable).first()


def is_path_changing(path: str) -> bool:
    """Whether the full path of an image, or of something above it, is being changed."""
    return PathChange.objects.filter(old_path__in=prefixes(path)).exists()


def person_called(username: str) -> Person | None:
    """The person of a user name, in any case, whether they may sign in or not."""
    return get_user_model().objects.filter(username=username.lower()).first()
