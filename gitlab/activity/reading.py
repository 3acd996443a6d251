"""What happened in projects and groups, from the record: what a reader's role lets them know.

Whoever may read images learns of pushes, deletions and restores, whoever may see the members of
their changes. From where and by which credential is told to maintainers alone, by the audit log.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence

from django.db.models import QuerySet
from django.utils import timezone

from gitlab.audit import services as audit
from gitlab.audit.models import AuditEvent
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import queries, user_access
from gitlab.namespaces.models import AccessLevel, Namespace, Project, RegistryAccess
from gitlab.namespaces.policies import Ability
from gitlab.principals import Anybody, Person

PUSHES = ("tag.push", "manifest.push")
DELETIONS = (
    "tag.delete",
    "tag.delete_in_bulk",
    "manifest.delete",
    "container_repository.schedule_deletion",
    "container_repository.delete",
    "container_repository.delete_failed",
    "container_repository.empty",
    "cleanup.finished",
)
RESTORES = (
    "tag.restore",
    "container_repository.restore",
    "container_repository.keep",
    "cleanup.undo",
)
MEMBERS = ("member.add", "member.update", "member.remove")

KINDS = {
    "pushes": PUSHES,
    "deletions": DELETIONS,
    "restores": RESTORES,
    "members": MEMBERS,
}
"""What can be asked for, by the word in the address."""

RECENT = dt.timedelta(days=30)
_BEFORE = dt.timedelta(days=1)
"""Of the image that was pushed to longest ago, what came in so long before its last push."""

IMAGES = 8
"""Images of which home tells the latest pushes."""


def _actions(kind: str, *, images: bool, members: bool) -> list[str]:
    seen = [*(("pushes", "deletions", "restores") if images else ())]
    seen += ["members"] if members else []
    return [action for each in seen if kind in ("", each) for action in KINDS[each]]


def in_project(reader: Anybody, project: Project, kind: str = "") -> QuerySet[AuditEvent]:
    """What happened in a project that was loaded for `reader`; of one of `KINDS` alone."""
    may = project.abilities
    actions = _actions(kind, images=Ability.READ_IMAGE in may, members=Ability.READ_MEMBERS in may)
    return audit.events_in_project(project.pk).filter(action__in=actions)


def in_group(reader: Anybody, group: Namespace, kind: str = "") -> QuerySet[AuditEvent]:
    """What happened at and below a group or namespace that was loaded for `reader`."""
    access = user_access.in_namespace(reader, group)
    actions = _actions(
        kind,
        images=access.admin or access.level >= AccessLevel.REPORTER,
        members=Ability.READ_MEMBERS in group.abilities,
    )
    below = queries.at_or_below(group).values("pk")
    return audit.events_in_namespaces(below).filter(action__in=actions)


def recent_pushes(reader: Person, limit: int = 10) -> Sequence[AuditEvent]:
    """The latest pushes of tags in the projects that somebody belongs to. Two queries.

    Of the images that were pushed to last, none of before `RECENT`.
    """
    mine = queries.projects_of(reader, lowest=AccessLevel.REPORTER)
    projects = mine.exclude(registry_access=RegistryAccess.DISABLED).order_by()
    since = timezone.now() - RECENT
    rows = ContainerRepository.objects.filter(
        project__in=projects.values("pk"), last_published_at__gt=since
    )
    latest = rows.order_by("-last_published_at").values_list("pk", "last_published_at")
    images = {pk: at for pk, at in latest[:IMAGES] if at is not None}
    if not images:
        return []
    events = AuditEvent.objects.filter(
        target_type="containerrepository",
        target_id__in=list(images),
        action="tag.push",
        at__gte=min(images.values()) - _BEFORE,
    )
    return list(events.order_by("-at", "-id")[:limit])
