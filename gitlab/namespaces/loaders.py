"""Loading and permission in one call, so that neither can be forgotten.

`NotFound` hides what somebody may not know of; `Forbidden` is for what they see and may not do.
The row that comes back has `abilities` filled, for templates to ask.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from django.db.models import Q

from gitlab import principals
from gitlab.namespaces import policies, user_access
from gitlab.namespaces.models import AccessLevel, Namespace, Project, Route
from gitlab.namespaces.policies import Ability, UserAccess
from gitlab.principals import Anybody
from gitlab.refusals import Forbidden, NotFound


def _refuse_unless(
    allowed: frozenset[str],
    needed: Ability,
    basic: Ability,
    access: UserAccess,
    *,
    is_personal: bool = False,
) -> None:
    if basic not in allowed:
        raise NotFound("nothing here")
    if needed in allowed:
        return
    if is_personal:
        raise Forbidden("This is somebody else's own namespace: you may not do this here.")
    raise Forbidden(_why_not(needed, access, in_group=basic == Ability.READ_GROUP))


def _why_not(needed: Ability, access: UserAccess, *, in_group: bool) -> str:
    """Which role it takes, and which one they have."""
    role = policies.role_needed(needed, access, in_group=in_group)
    if role is None:
        return "You may not do this here."
    noun = "group" if in_group else "project"
    own = f"yours is {AccessLevel(access.level).label}" if access.level else "you have none"
    return f"This takes the role {role.label} in the {noun}, or a higher one; {own}."


IdOrPath: TypeAlias = int | str
"""What names a row: its id, or its full path in any case."""


def _by(id_or_path: IdOrPath) -> dict[str, Any]:
    return {"pk": id_or_path} if isinstance(id_or_path, int) else {"full_path": id_or_path.lower()}


def get_project_for(
    user: Anybody, id_or_path: IdOrPath, ability: Ability = Ability.READ_PROJECT
) -> Project:
    """The project, for somebody who may do `ability` in it. Raises `NotFound`, `Forbidden`."""
    project = (
        Project.objects.select_related("namespace")
        .filter(**_by(id_or_path), pending_delete_at__isnull=True)
        .first()
    )
    if project is None:
        raise _nothing(user, id_or_path, "x/x")
    return require_in_project(user, project, ability)


def _nothing(user: Anybody, id_or_path: IdOrPath, likely: str = "x") -> NotFound:
    """What to raise where nothing is, after what is asked where something is that one may not see.

    Otherwise the time that an answer takes would tell the one from the other. Deeper paths are
    taken for projects: those are most. Of an id nobody knows the path; it might be like `likely`.
    """
    full_path = likely if isinstance(id_or_path, int) else id_or_path.lower()
    above, _, _ = full_path.rpartition("/")
    namespace = Namespace(pk=0, full_path=above or full_path)
    if above:
        user_access.in_project(user, Project(pk=0, namespace=namespace))
    else:
        user_access.in_namespace(user, namespace)
        _belongs_below(user, namespace)
    return NotFound("nothing here")


def no_project(user: Anybody) -> NotFound:
    """What to raise where something of a project is asked for by an id that nothing has, after what
    is asked where something has it that one may not see.
    """
    return _nothing(user, 0, "x/x")


def require_in_project(user: Anybody, project: Project, ability: Ability) -> Project:
    """`project`, with `abilities` filled. Raises `NotFound`, `Forbidden`."""
    access = user_access.in_project(user, project)
    project.abilities = policies.project_abilities(
        access,
        project.visibility,
        project.registry_access,
        archived=project.archived,
    )
    _refuse_unless(project.abilities, ability, Ability.READ_PROJECT, access)
    return project


def get_group_for(
    user: Anybody, id_or_path: IdOrPath, ability: Ability = Ability.READ_GROUP
) -> Namespace:
    """The group, for somebody who may do `ability` in it. Raises `NotFound`, `Forbidden`."""
    return _get_namespace(user, ability, id_or_path, kind=Namespace.Kind.GROUP)


def get_namespace_for(
    user: Anybody, id_or_path: IdOrPath, ability: Ability = Ability.READ_GROUP
) -> Namespace:
    """The group or personal namespace, as `get_group_for`. Raises `NotFound`, `Forbidden`."""
    return _get_namespace(user, ability, id_or_path)


def _get_namespace(
    user: Anybody, ability: Ability, id_or_path: IdOrPath, **lookup: str
) -> Namespace:
    rows = Namespace.objects.filter(pending_delete_at__isnull=True, **lookup)
    namespace = rows.filter(**_by(id_or_path)).first()
    if namespace is None:
        raise _nothing(user, id_or_path)
    return require_in_namespace(user, namespace, ability)


def require_in_namespace(user: Anybody, namespace: Namespace, ability: Ability) -> Namespace:
    """`namespace`, with `abilities` filled. Raises `NotFound`, `Forbidden`."""
    access = user_access.in_namespace(user, namespace)
    abilities = policies.group_abilities(access, namespace.visibility)
    if Ability.READ_GROUP not in abilities and _belongs_below(user, namespace):
        abilities = policies.group_abilities(access, namespace.visibility, belongs_below=True)
    namespace.abilities = abilities
    is_personal = namespace.kind == Namespace.Kind.USER
    _refuse_unless(abilities, ability, Ability.READ_GROUP, access, is_personal=is_personal)
    return namespace


def _belongs_below(user: Anybody, namespace: Namespace) -> bool:
    """Whether somebody is a member of a subgroup or project, and so sees the way to it."""
    person = principals.somebody(user)
    if person is None:
        return False
    below = f"{namespace.full_path}/"
    there = Q(namespace__full_path__startswith=below) | Q(project__full_path__startswith=below)
    direct = user_access.live_members().filter(there, user_id=person.pk)
    found = direct.order_by().values_list("pk")
    if not person.is_bot:
        invited = user_access.links_with_member(person.pk).filter(there)
        found = found.union(invited.order_by().values_list("pk"), all=True)
    return bool(found[:1])


def find(full_path: str) -> Namespace | Project:
    """What is at a path, without asking who may see it. Raises `NotFound`."""
    route = (
        Route.objects.select_related("namespace", "project__namespace")
        .filter(full_path=full_path.lower())
        .first()
    )
    found = route and (route.namespace or route.project)
    if not found or found.pending_delete_at is not None:
        raise NotFound("nothing here")
    return found


def get_for(user: Anybody, full_path: str) -> Namespace | Project:
    """The project, group or personal namespace at a path, if somebody may see it.

    Raises `NotFound`.
    """
    try:
        found = find(full_path)
    except NotFound:
        raise _nothing(user, full_path) from None
    if isinstance(found, Project):
        return require_in_project(user, found, Ability.READ_PROJECT)
    return require_in_namespace(user, found, Ability.READ_GROUP)
