"""The rules about groups and projects. Each call is one transaction, checks who may, and records.

`by` is who does it. Refusals: `NotFound`, `Forbidden`, `Invalid` (by argument), `Conflict`.
Memberships are in `members`, what people see in `queries`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.utils import timezone

from gitlab.audit.services import record
from gitlab.jobs import enqueue
from gitlab.namespaces import group_links, policies, user_access
from gitlab.namespaces.loaders import require_in_namespace, require_in_project
from gitlab.namespaces.models import (
    AccessLevel,
    Member,
    Namespace,
    PathChange,
    Project,
    RegistryAccess,
    Route,
    Visibility,
)
from gitlab.namespaces.paths import MAX_GROUP_PATH, check_segment, join
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound
from gitlab.revocations import services as revocations

_ORDER = [Visibility.PRIVATE, Visibility.INTERNAL, Visibility.PUBLIC]


def _check_name(name: str, default: str) -> str:
    name = name.strip() or default
    if len(name) > 255:
        raise Invalid({"name": "At most 255 characters."})
    return name


def _check_description(description: str) -> str:
    if len(description) > 500:
        raise Invalid({"description": "At most 500 characters."})
    return description.strip()


def check_visibility(visibility: str, namespace: Namespace | None) -> str:
    """A group's content is never more visible than the group; a person's own may be anything."""
    if visibility not in Visibility.values:
        raise Invalid({"visibility": f"One of {', '.join(Visibility.values)}."})
    if namespace is not None and namespace.is_group:
        limit = _ORDER.index(Visibility(namespace.visibility))
        if _ORDER.index(Visibility(visibility)) > limit:
            raise Invalid(
                {
                    "visibility": f"The group {namespace.full_path} is {namespace.visibility}:"
                    " what is in it can't be more visible."
                }
            )
    return visibility


def _check_registry_access(registry_access: str) -> str:
    if registry_access not in RegistryAccess.values:
        raise Invalid({"registry_access": f"One of {', '.join(RegistryAccess.values)}."})
    return registry_access


def hold_namespace(namespace: Namespace) -> Namespace:
    """The row as it is now, held until the transaction ends. Raises `NotFound`."""
    row = Namespace.objects.select_for_update().filter(pk=namespace.pk).first()
    if row is None or row.pending_delete_at is not None:
        raise NotFound("nothing here")
    return row


def _insert(row: Namespace | Project, field: str) -> None:
    """The row with its route. Raises `Invalid` for `field` where the path is taken.

    So it is where something that is being renamed will be.
    """
    taken = Invalid({field: f"“{row.full_path}” is already taken."}, code="taken")
    if PathChange.objects.filter(new_path=row.full_path).exists():
        raise taken
    try:
        with transaction.atomic():
            row.save(force_insert=True)
            if isinstance(row, Project):
                Route.objects.create(full_path=row.full_path, project=row)
            else:
                Route.objects.create(full_path=row.full_path, namespace=row)
    except IntegrityError as error:
        if not Route.objects.filter(full_path=row.full_path).exists():
            raise
        raise taken from error


@transaction.atomic
def create_personal_namespace(user: Person) -> Namespace:
    """The namespace of a person who has just been created. Raises `Invalid` for ``username``."""
    namespace = Namespace(
        kind=Namespace.Kind.USER,
        path=user.username,
        full_path=user.username,
        name=user.name or user.username,
        owner_id=user.pk,
        visibility=Visibility.PUBLIC,
    )
    _insert(namespace, "username")
    return namespace


@transaction.atomic
def create_group(
    by: Person,
    *,
    path: str,
    name: str = "",
    parent: Namespace | None = None,
    visibility: str = Visibility.PRIVATE,
    description: str = "",
) -> Namespace:
    """A new group, at the top or in `parent`, with `by` as its owner."""
    if parent is None:
        if by.is_bot or not policies.may_create_top_level_group(user_access.of_person(by)):
            raise Forbidden("You may not create groups.")
    else:
        parent = require_in_namespace(by, hold_namespace(parent), Ability.CREATE_SUBGROUP)
        if not parent.is_group:
            raise Invalid({"parent": "A person's own namespace holds projects, not groups."})
    segment = check_segment(path, at_top=parent is None)
    group = Namespace(
        kind=Namespace.Kind.GROUP,
        path=segment,
        full_path=join(parent.full_path if parent else "", segment, longest=MAX_GROUP_PATH),
        name=_check_name(name, segment),
        parent=parent,
        visibility=check_visibility(visibility, parent),
        description=_check_description(description),
    )
    _insert(group, "path")
    if not by.is_bot:  # It may there what it may above, and no more.
        Member.objects.create(
            user_id=by.pk,
            namespace=group,
            access_level=AccessLevel.OWNER,
            created_by_id=by.person_id,
        )
    record("group.create", by=by, target=group, visibility=group.visibility)
    return group


MAX_GRACE = 24 * 365
"""Hours that people may go on without the second factor that a group wants."""


@transaction.atomic
def update_group(
    by: Person,
    group: Namespace,
    *,
    name: str | None = None,
    description: str | None = None,
    visibility: str | None = None,
    require_two_factor_authentication: bool | None = None,
    two_factor_grace_period: int | None = None,
) -> Namespace:
    """Change what is given. A group can't become less visible than something in it.

    Where it requires two factors, whoever belongs to it or to what is in it has to set up a second
    one within `two_factor_grace_period` hours. `accounts.factors.standing` asks for both.
    """
    group = require_in_namespace(by, hold_namespace(group), Ability.ADMIN_GROUP)
    changes: dict[str, Any] = {}
    if name is not None:
        _set(group, "name", _check_name(name, group.path), changes)
    if description is not None:
        _set(group, "description", _check_description(description), changes)
    if visibility is not None and visibility != group.visibility:
        check_visibility(visibility, group.parent)
        wider = _ORDER[_ORDER.index(Visibility(visibility)) + 1 :]
        below = f"{group.full_path}/"
        for rows in (Project.objects, Namespace.objects):
            found = rows.filter(full_path__startswith=below, visibility__in=wider).first()
            if found is not None:
                raise Invalid(
                    {
                        "visibility": f"{found.full_path} in it is {found.visibility}: change it first."
                    }
                )
        _set(group, "visibility", visibility, changes)
    _require_factors(group, require_two_factor_authentication, two_factor_grace_period, changes)
    if changes:
        group.save()
        record("group.update", by=by, target=group, **changes)
        if "visibility" in changes:
            revocations.end_tokens(path=group.full_path)
    return group


def _require_factors(
    group: Namespace, wanted: bool | None, hours: int | None, changes: dict[str, Any]
) -> None:
    if wanted is not None:
        _set(group, "require_two_factor_authentication", wanted, changes)
    if hours is not None:
        if not 0 <= hours <= MAX_GRACE:
            raise Invalid({"two_factor_grace_period": f"From 0 to {MAX_GRACE} hours."})
        _set(group, "two_factor_grace_period", hours, changes)


@transaction.atomic
def create_project(  # noqa: PLR0913 - each is a field of the form
    by: Person,
    *,
    namespace: Namespace,
    path: str,
    name: str = "",
    visibility: str = Visibility.PRIVATE,
    description: str = "",
    registry_access: str = RegistryAccess.ENABLED,
    reason: str = "",
) -> Project:
    """A new project in a group or in one's own namespace.

    `reason` says in the audit why (a push), where it was not done by hand. Whoever creates it can
    run it: a person whose role in the group is lower becomes its maintainer, as in GitLab. A path
    that is taken is `Invalid` for ``path`` with the code ``taken``.
    """
    namespace = require_in_namespace(by, hold_namespace(namespace), Ability.CREATE_PROJECT)
    segment = check_segment(path, at_top=False)
    project = Project(
        namespace=namespace,
        path=segment,
        full_path=join(namespace.full_path, segment),
        name=_check_name(name, segment),
        visibility=check_visibility(visibility, namespace),
        registry_access=_check_registry_access(registry_access),
        description=_check_description(description),
        creator_id=by.person_id,
    )
    _insert(project, "path")
    details: dict[str, Any] = {"visibility": project.visibility} | (
        {"reason": reason} if reason else {}
    )
    record("project.create", by=by, target=project, **details)
    _let_run(by, project)
    return project


def _let_run(by: Person, project: Project) -> None:
    """Make a person the maintainer of what they have created, where they are less."""
    access = user_access.in_project(by, project)
    if by.person_id is None or by.is_bot or access.admin or access.level >= AccessLevel.MAINTAINER:
        return
    Member.objects.create(
        user_id=by.person_id,
        project=project,
        access_level=AccessLevel.MAINTAINER,
        created_by_id=by.person_id,
    )
    level = int(AccessLevel.MAINTAINER)
    record("member.add", by=by, target=project, member=by.username, level=level)


@transaction.atomic
def update_project(
    by: Person,
    project: Project,
    *,
    name: str | None = None,
    description: str | None = None,
    visibility: str | None = None,
    registry_access: str | None = None,
    keep_untagged: bool | None = None,
) -> Project:
    """Change what is given."""
    project = require_in_project(by, hold_project(project), Ability.ADMIN_PROJECT)
    changes: dict[str, Any] = {}
    if name is not None:
        _set(project, "name", _check_name(name, project.path), changes)
    if description is not None:
        _set(project, "description", _check_description(description), changes)
    if visibility is not None:
        _set(project, "visibility", check_visibility(visibility, project.namespace), changes)
    if registry_access is not None:
        _set(project, "registry_access", _check_registry_access(registry_access), changes)
    if keep_untagged is not None:
        _set(project, "keep_untagged", keep_untagged, changes)
    if changes:
        project.save()
        record("project.update", by=by, target=project, **changes)
        if {"visibility", "registry_access"} & changes.keys():
            revocations.end_tokens(path=project.full_path)
    return project


@transaction.atomic
def set_archived(by: Person, project: Project, *, archived: bool) -> Project:
    """Archive a project, so that its images are only pulled, or take that back. Twice is once."""
    project = require_in_project(by, hold_project(project), Ability.REMOVE_PROJECT)
    if project.archived != archived:
        project.archived = archived
        project.save(update_fields=["archived", "updated_at"])
        record("project.archive" if archived else "project.unarchive", by=by, target=project)
        if archived:
            revocations.end_tokens(path=project.full_path)
    return require_in_project(by, project, Ability.READ_PROJECT)


def _set(
    row: Namespace | Project, field: str, value: str | bool | int, changes: dict[str, Any]
) -> None:
    before = getattr(row, field)
    if before != value:
        setattr(row, field, value)
        changes[field] = [before, value]


def hold_project(project: Project) -> Project:
    """The row as it is now, held until the transaction ends. Raises `NotFound`."""
    row = (
        Project.objects.select_for_update(of=("self",))
        .select_related("namespace")
        .filter(pk=project.pk, pending_delete_at__isnull=True)
        .first()
    )
    if row is None:
        raise NotFound("nothing here")
    return row


BEFORE_DELETION: list[Callable[[Person, Project], None]] = []
"""What is asked before a project goes, by those who know what is in it; each may refuse."""


def delete_project(by: Person, project: Project) -> None:
    """Hide the project at once; the worker deletes its images, then the row goes.

    Until then its path stays taken, and nobody can push to it or pull from it. Raises what those
    `BEFORE_DELETION` do: `Forbidden`, `Conflict`.
    """
    require_in_project(by, project, Ability.REMOVE_PROJECT)
    for may_refuse in BEFORE_DELETION:
        may_refuse(by, project)
    with transaction.atomic():
        project = require_in_project(by, hold_project(project), Ability.REMOVE_PROJECT)
        project.pending_delete_at = timezone.now()
        project.save(update_fields=["pending_delete_at", "updated_at"])
        record("project.delete", by=by, target=project)
        revocations.end_tokens(path=project.full_path)
        enqueue.on_commit("workers.tasks.sweep_deletions")


@transaction.atomic
def delete_group(by: Person, group: Namespace) -> None:
    """Hide the group with its subgroups; the rows go when the last project in them is gone.

    Raises `Conflict` while it holds projects that nobody has deleted.
    """
    group = require_in_namespace(by, hold_namespace(group), Ability.REMOVE_GROUP)
    if not group.is_group:
        raise Forbidden("A person's own namespace stays as long as the person.")
    below = f"{group.full_path}/"
    groups = Namespace.objects.filter(full_path__startswith=below)
    # Held too, so that no project slips into a subgroup between the question and the answer.
    list(groups.select_for_update().values_list("pk", flat=True))
    left = Project.objects.filter(full_path__startswith=below, pending_delete_at__isnull=True)
    if left.exists():
        raise Conflict(
            {"__all__": f"The group still has {left.count()} project(s). Delete them first."}
        )
    arriving = PathChange.objects.filter(
        Q(new_parent=group) | Q(new_parent__full_path__startswith=below)
    ).first()
    if arriving is not None:
        raise Conflict({"__all__": f"{arriving.old_path} is being transferred into it."})
    now = timezone.now()
    groups.filter(pending_delete_at__isnull=True).update(pending_delete_at=now)
    group.pending_delete_at = now
    group.save(update_fields=["pending_delete_at", "updated_at"])
    record("group.delete", by=by, target=group)
    revocations.end_tokens(path=group.full_path)
    group_links.end_tokens_elsewhere(group)
    enqueue.on_commit("workers.tasks.sweep_deletions")


def finish_deletions(leave: Callable[[Project], bool] | None = None) -> int:
    """Remove the rows of projects and groups whose deletion has nothing left to do.

    `leave` is called before a project goes and gives its path up; one for which it answers False
    stays. The worker's last step; may run at any time and twice. Answers how many rows went.
    """
    gone = 0
    waiting = Project.objects.filter(pending_delete_at__isnull=False)
    for project in waiting.filter(container_repositories__isnull=True):
        if leave is None or leave(project):
            gone += _remove(project)
    groups = Namespace.objects.filter(pending_delete_at__isnull=False)
    # The longest path first: a group goes after its subgroups.
    for group in sorted(groups, key=lambda row: row.full_path.count("/"), reverse=True):
        if not group.children.exists() and not group.projects.exists():
            gone += _remove(group)
    return gone


def _remove(row: Project | Namespace) -> int:
    try:
        with transaction.atomic():
            kind = "project" if isinstance(row, Project) else "group"
            record(f"{kind}.gone", by=None, target=row)
            row.delete()
    except IntegrityError:
        # Something still refers to it (ProtectedError is one of these): the next sweep looks again.
        return 0
    return 1
