"""Invitations of groups, and what somebody is by them, by each way of asking."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.utils import timezone

from gitlab.authorization.principals import PersonPrincipal
from gitlab.container_registry.image_paths import located
from gitlab.namespaces import members, queries, user_access
from gitlab.namespaces.models import AccessLevel, GroupLink, Project
from gitlab.namespaces.roles import Roles

LEVELS = [level.value for level in AccessLevel]


def day(days: int) -> dt.date:
    return timezone.now().date() + dt.timedelta(days=days)


def invite(place: Any, group: Any, level: int = 30, ends: dt.date | None = None) -> GroupLink:
    where = {"project": place} if isinstance(place, Project) else {"namespace": place}
    return GroupLink.objects.create(group=group, group_access=level, expires_at=ends, **where)


def token_level(user: Any, path: str) -> int:
    """As the token endpoint sees it."""
    images = located([path])
    return PersonPrincipal(user, frozenset(["read"])).access_to(images.values())[path].level


def levels_of(user: Any, project: Any) -> set[int]:
    """What somebody is in a project, by each way in which it is asked: one, where all agree."""
    shown = {one.user.pk: int(one.level) for one in members.members_of(project)}
    annotated = members.with_levels(members.people_of(project), project).filter(pk=user.pk)
    lowest = [
        level for level in LEVELS if queries.projects_of(user, lowest=level).filter(pk=project.pk)
    ]
    return {
        user_access.in_project(user, project).level,
        Roles(user).level(project),
        token_level(user, f"{project.full_path}/web"),
        shown.get(user.pk, 0),
        annotated.values_list("level", flat=True).first() or 0,
        max(lowest, default=0),
    }
