"""Inviting a group to another group or to a project, GitLab's "share". `by` is who does it.

The direct members of the group then have the lower of their level in it and the one that is given.
Nobody gives more than they have. Refusals as in `services`.
"""

from __future__ import annotations

import datetime as dt

from django.db import IntegrityError, transaction
from django.db.models import Q

from gitlab.audit.services import record
from gitlab.namespaces import queries, user_access
from gitlab.namespaces.loaders import require_in_namespace
from gitlab.namespaces.members import check_expiry, check_level, require_administered
from gitlab.namespaces.models import GroupLink, Namespace, Project, Routable
from gitlab.namespaces.paths import prefixes
from gitlab.namespaces.policies import Ability
from gitlab.principals import Anybody, Person
from gitlab.refusals import Invalid, NotFound
from gitlab.revocations import services as revocations

MOST = 100
"""Groups that are invited to one place."""

MOST_ELSEWHERE = 1000
"""Places to which one group is invited: all are told when it goes."""


def _of(routable: Routable) -> Q:
    return Q(project=routable) if isinstance(routable, Project) else Q(namespace=routable)


@transaction.atomic
def share(
    by: Person,
    routable: Routable,
    group: Namespace,
    group_access: int,
    expires_at: dt.date | None = None,
) -> GroupLink:
    """Invite `group`, which `by` has to see.

    Raises `Invalid` for ``group``, with the code ``taken`` where it is invited already; for
    ``access_level``, ``expires_at``; `Forbidden`, `NotFound`.
    """
    access = require_administered(by, routable)
    level = check_level(access, group_access)
    group = require_in_namespace(by, _still_there(group), Ability.READ_GROUP)
    if not group.is_group:
        raise Invalid({"group": "A person's own namespace is no group: add the person."})
    namespace = routable.namespace if isinstance(routable, Project) else routable
    if group.full_path in prefixes(namespace.full_path):
        raise Invalid({"group": f"Who belongs to {group.full_path} belongs here already."})
    _check_room(routable, group)
    try:
        with transaction.atomic():
            link = GroupLink.objects.create(
                group=group,
                project=routable if isinstance(routable, Project) else None,
                namespace=None if isinstance(routable, Project) else routable,
                group_access=level,
                expires_at=check_expiry(expires_at),
                created_by_id=by.person_id,
            )
    except IntegrityError as error:
        raise Invalid({"group": f"{group.full_path} is invited already."}, code="taken") from error
    record(
        "group_link.create",
        by=by,
        target=routable,
        group=group.full_path,
        level=int(level),
        expires_at=str(link.expires_at) if link.expires_at else None,
    )
    return link


def _still_there(group: Namespace) -> Namespace:
    found = Namespace.objects.filter(pk=group.pk, pending_delete_at__isnull=True).first()
    if found is None:
        raise NotFound("nothing here")
    return found


def _check_room(routable: Routable, group: Namespace) -> None:
    if GroupLink.objects.filter(_of(routable)).count() >= MOST:
        raise Invalid({"group": f"At most {MOST} groups are invited to one place."})
    if GroupLink.objects.filter(group=group).count() >= MOST_ELSEWHERE:
        raise Invalid({"group": f"{group.full_path} is invited to {MOST_ELSEWHERE} places."})


@transaction.atomic
def unshare(by: Person, routable: Routable, group_id: int) -> None:
    """Take an invitation back. Raises `NotFound` where there is none; `Forbidden`.

    Who had their right by it has it no longer at the next request.
    """
    access = require_administered(by, routable)
    link = GroupLink.objects.select_related("group").filter(_of(routable), group=group_id).first()
    if link is None:
        raise NotFound("not invited")
    check_level(access, link.group_access)
    link.delete()
    record("group_link.delete", by=by, target=routable, group=link.group.full_path)
    revocations.end_tokens(path=routable.full_path)


def projects_shared_with(group: Namespace) -> list[int]:
    """The ids of the projects to which a group itself is invited, as far as that holds today."""
    rows = user_access.live_links().filter(group=group, project__isnull=False)
    return list(rows.order_by().values_list("project_id", flat=True)[:MOST_ELSEWHERE])


def links_of(user: Anybody, routable: Routable) -> list[GroupLink]:
    """The groups that are invited here, of those that `user` may see, by path."""
    found = GroupLink.objects.filter(_of(routable), group__pending_delete_at__isnull=True)
    links = list(found.select_related("group", "created_by").order_by("group__full_path")[:MOST])
    if not links:
        return []
    seen = queries.groups_visible_to(user).filter(pk__in=[link.group_id for link in links])
    visible = set(seen.values_list("pk", flat=True))
    return [link for link in links if link.group_id in visible]


def end_tokens_elsewhere(group: Namespace) -> None:
    """A group goes with those below it: nobody is anything by them where they were invited."""
    gone = Q(group=group) | Q(group__full_path__startswith=f"{group.full_path}/")
    links = GroupLink.objects.filter(gone).select_related("namespace", "project")
    places = {place.full_path for link in links if (place := link.project or link.namespace)}
    for path in sorted(places):
        revocations.end_tokens(path=path)
