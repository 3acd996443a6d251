"""Changing the path of a project or group, and transferring either: the images come along.

    asked ──► a dry run at the registry          refused: nothing has happened
          ──► `PathChange` is written             from here on nobody pushes there
          ──► the registry renames                one transaction of its own
          ──► the rows here, and `PathChange` goes: one transaction

Whatever happens in between, the row says what was begun, and each step may run again: a registry
that knows nothing at the old path has renamed already. Whoever asks again finishes, and so does
the worker. Reasons: docs/decisions/0004.

`by` is who does it. Refusals: `NotFound`, `Forbidden`, `Invalid` (by argument), `Conflict`;
`RegistryUnavailable` where the registry does not answer.
"""

from __future__ import annotations

import datetime as dt
import logging
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import Q, QuerySet, Value
from django.db.models.functions import Concat, Length, Substr
from django.utils import timezone

from gitlab.access_tokens import resource_tokens
from gitlab.audit.services import record
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import Registry, own_api
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.protection import guard
from gitlab.namespaces import policies, queries, user_access
from gitlab.namespaces.loaders import require_in_namespace, require_in_project
from gitlab.namespaces.models import (
    MAX_PATH_LENGTH,
    Namespace,
    PathChange,
    Project,
    Routable,
    Route,
)
from gitlab.namespaces.paths import MAX_GROUP_PATH, check_segment, join, prefixes
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.services import check_visibility, hold_namespace, hold_project
from gitlab.principals import Person
from gitlab.refusals import Conflict, Forbidden, Invalid

log = logging.getLogger(__name__)

LEFT_ALONE = dt.timedelta(minutes=1)
"""A change that is younger is still being made by whoever asked for it."""

_TOO_MANY = "More than 1,000 images are not renamed at once. Delete some, or make a new project."


@dataclass(frozen=True)
class _Wish:
    """What is asked: which project or group, where to, and the argument that a refusal is about."""

    routable: Routable
    parent: Namespace | None
    new_path: str
    field: str

    @property
    def old_path(self) -> str:
        """The full path as it was when the row was loaded."""
        return self.routable.full_path

    @property
    def above(self) -> str:
        """What stands before the new path's last segment, with its slash."""
        return self.new_path[: self.new_path.rfind("/") + 1]


def change_project_path(
    by: Person, project: Project, *, path: str, registry: Registry | None = None
) -> Project:
    """Let a project be called `path` in its namespace. Needs `Ability.ADMIN_PROJECT`."""
    require_in_project(by, project, Ability.ADMIN_PROJECT)
    segment = check_segment(path, at_top=False)
    parent = project.namespace
    wish = _Wish(project, parent, join(parent.full_path, segment), "path")
    _change(by, wish, registry)
    return Project.objects.select_related("namespace").get(pk=project.pk)


def transfer_project(
    by: Person, project: Project, *, namespace: Namespace, registry: Registry | None = None
) -> Project:
    """Move a project to another namespace, under its name.

    Needs `Ability.REMOVE_PROJECT` here, since who transfers it may lose it, and
    `Ability.CREATE_PROJECT` there. The namespace has to be as visible as the project.
    """
    require_in_project(by, project, Ability.REMOVE_PROJECT)
    require_in_namespace(by, namespace, Ability.CREATE_PROJECT)
    full_path = join(namespace.full_path, project.path, field="namespace")
    wish = _Wish(project, namespace, full_path, "namespace")
    _check_fits(project, namespace, "namespace")
    _change(by, wish, registry)
    return Project.objects.select_related("namespace").get(pk=project.pk)


def change_group_path(
    by: Person, group: Namespace, *, path: str, registry: Registry | None = None
) -> Namespace:
    """Let a group be called `path` where it is, with all that is in it. Needs `ADMIN_GROUP`."""
    require_in_namespace(by, group, Ability.ADMIN_GROUP)
    if not group.is_group:
        raise Forbidden("A person's own namespace is called like the person.")
    segment = check_segment(path, at_top=group.parent is None)
    parent = group.parent
    new_path = join(parent.full_path if parent else "", segment, longest=MAX_GROUP_PATH)
    _change(by, _Wish(group, parent, new_path, "path"), registry)
    return Namespace.objects.select_related("parent").get(pk=group.pk)


def transfer_group(
    by: Person, group: Namespace, *, parent: Namespace | None, registry: Registry | None = None
) -> Namespace:
    """Move a group with all that is in it into another, or to the top, under its name.

    Needs `Ability.REMOVE_GROUP` here, since who transfers it may lose it, and
    `Ability.CREATE_SUBGROUP` there, or the right to open groups at the top. The group that it comes
    to has to be as visible.
    """
    require_in_namespace(by, group, Ability.REMOVE_GROUP)
    if not group.is_group:
        raise Forbidden("A person's own namespace stays where it is.")
    if parent is None:
        if by.is_bot or not policies.may_create_top_level_group(user_access.of_person(by)):
            raise Forbidden("You may not create groups.")
    else:
        require_in_namespace(by, parent, Ability.CREATE_SUBGROUP)
        _check_holds(group, parent)
    segment = check_segment(group.path, at_top=parent is None, field="parent")
    new_path = join(
        parent.full_path if parent else "", segment, field="parent", longest=MAX_GROUP_PATH
    )
    _change(by, _Wish(group, parent, new_path, "parent"), registry)
    return Namespace.objects.select_related("parent").get(pk=group.pk)


def _check_holds(group: Namespace, parent: Namespace) -> None:
    """Raises `Invalid` where `parent` can't hold `group`."""
    if not parent.is_group:
        raise Invalid({"parent": "A person's own namespace holds projects, not groups."})
    if f"{parent.full_path}/".startswith(f"{group.full_path}/"):
        raise Invalid({"parent": "A group can't come into itself."})
    _check_fits(group, parent, "parent")


def finish_all(registry: Registry | None = None) -> int:
    """Finish what somebody has begun and left. Answers how many; for the worker."""
    left = PathChange.objects.filter(started_at__lt=timezone.now() - LEFT_ALONE)
    done = 0
    for change in left.order_by("started_at"):
        try:
            _finish(change, registry or clients.for_jobs())
            done += 1
        except RegistryUnavailable as error:
            log.warning("%s waits: %s", change, error)
            break
        except Invalid as error:
            log.warning("%s was given up: %s", change, "; ".join(error.messages))
    return done


def _check_fits(routable: Routable, namespace: Namespace, field: str) -> None:
    try:
        check_visibility(routable.visibility, namespace)
    except Invalid as error:
        raise Invalid({field: error.message_dict["visibility"]}) from error


# The steps


def _change(by: Person, wish: _Wish, registry: Registry | None) -> None:
    registry = registry or clients.for_pages()
    begun = queries.path_change_of(wish.routable)
    if begun is None:
        _check(wish)
        _rename(registry, wish.old_path, wish.new_path, wish.field, dry_run=True)
        _refuse_protected(by, wish, registry)
        begun = _begin(by, wish)
    elif begun.new_path != wish.new_path:
        raise Conflict({wish.field: f"It is being renamed to {begun.new_path}: finish that first."})
    _finish(begun, registry, wish.field)


def _refuse_protected(by: Person, wish: _Wish, registry: Registry) -> None:
    """Raises `Forbidden` where a rule protects an image or a tag: its old name would be gone.

    Looked at before anything is begun. What is pushed in the moment between comes along.
    """
    if settings.CONTAINER_REGISTRY_ENABLED:
        images = _images(wish.old_path).select_related("project__namespace")
        try:
            images = images.order_by("project__full_path", "path")
            guard.require_path_stays(by, wish.old_path, images, registry)
        except RegistryRefused as error:
            text = f"The registry does not tell the tags of the images: {error}."
            raise Conflict({wish.field: text}) from error


def _check(wish: _Wish) -> None:
    """Raises `Invalid` where the path can't be that, `Conflict` where it can't be now."""
    if wish.new_path == wish.old_path:
        raise Invalid({wish.field: "It is there already."})
    if Route.objects.filter(full_path=wish.new_path).exists():
        raise Invalid({wish.field: f"“{wish.new_path}” is already taken."}, code="taken")
    _refuse_length(wish)
    _refuse_overlap(wish)


def _refuse_length(wish: _Wish) -> None:
    """Raises `Invalid` where a path below would get longer than one that is made there may be."""
    grows = len(wish.new_path) - len(wish.old_path)
    if grows <= 0:
        return
    for rows, column in _paths_below(wish.old_path):
        longest = MAX_GROUP_PATH if rows.model is Namespace else MAX_PATH_LENGTH
        if rows.alias(length=Length(column)).filter(length__gt=longest - grows).exists():
            raise Invalid({wish.field: "A path below it would get too long."})


def _refuse_overlap(wish: _Wish) -> None:
    """Raises `Conflict` where something above or below, here or there, is being changed."""
    ours = {*prefixes(wish.old_path), *prefixes(wish.new_path)}
    found = PathChange.objects.filter(
        Q(old_path__in=ours)
        | Q(new_path__in=ours)
        | Q(old_path__startswith=f"{wish.old_path}/")
        | Q(new_path__startswith=f"{wish.old_path}/")
    ).first()
    if found is not None:
        raise Conflict({wish.field: f"{found.old_path} is being renamed: try again in a moment."})


def _begin(by: Person, wish: _Wish) -> PathChange:
    """Write down what is to be done. From here on the authorizer grants no push there."""
    with transaction.atomic():
        # The roots first, in order: two changes in one tree look for each other in turn.
        roots = {wish.old_path.partition("/")[0], wish.new_path.partition("/")[0]}
        rows = Namespace.objects.filter(full_path__in=roots).order_by("pk")
        list(rows.select_for_update().values_list("pk", flat=True))
        parent = hold_namespace(wish.parent) if wish.parent else None
        routable: Routable
        if isinstance(wish.routable, Project):
            routable = hold_project(wish.routable)
            which: dict[str, Any] = {"project": routable}
        else:
            routable = hold_namespace(wish.routable)
            which = {"namespace": routable}
        above = f"{parent.full_path}/" if parent else ""
        if (routable.full_path, above) != (wish.old_path, wish.above):
            raise Conflict({wish.field: "Its path has just been changed: look again."})
        if parent is not None:
            _check_fits(routable, parent, wish.field)
        _check(wish)
        change = PathChange.objects.create(
            **which,
            old_path=wish.old_path,
            new_path=wish.new_path,
            new_parent=parent,
            by_id=by.person_id,
        )
    # The worker looks for a change after it has taken an image, and this looks for such an image
    # after the change stands: one of the two sees the other.
    images = _images(wish.old_path).filter(status=ContainerRepository.Status.DELETE_ONGOING)
    image = images.first()
    if image is not None:
        change.delete()
        raise Conflict({wish.field: f"{image.path} is being deleted: try again when it is gone."})
    return change


def _finish(change: PathChange, registry: Registry, field: str = "path") -> None:
    """The registry's part and ours. May run twice, and side by side."""
    try:
        _rename(registry, change.old_path, change.new_path, field, dry_run=False)
    except Invalid:
        change.delete()
        raise
    try:
        _apply(change.pk)
    except IntegrityError as error:
        # Somebody has opened a group of that name at the top at the same moment.
        _rename(registry, change.new_path, change.old_path, field, dry_run=False)
        change.delete()
        raise Invalid({field: f"“{change.new_path}” is already taken."}, code="taken") from error


def _rename(registry: Registry, old_path: str, new_path: str, field: str, *, dry_run: bool) -> None:
    """The registry's part.

    `Invalid` and `Conflict` say that nothing was renamed. Otherwise, and where that is not known,
    raises `RegistryUnavailable`.
    """
    if not settings.CONTAINER_REGISTRY_ENABLED:
        if not _images(old_path).exists():
            return
        if dry_run:
            raise Conflict({field: "The container registry is off: its images can't come along."})
        raise RegistryUnavailable("the container registry is off")
    try:
        own_api(registry, "can't rename images").rename(old_path, new_path, dry_run=dry_run)
    except RegistryRefused as error:
        if error.status == 404 and not _images(old_path).exists():
            return  # A registry that can't rename, and nothing to rename.
        refusal = _refusal(error, new_path, field)
        if refusal is None and dry_run:
            text = f"The registry refuses to rename the images: {error}."
            refusal = Conflict({field: text})
        if refusal is None:
            raise RegistryUnavailable(f"the registry refuses to rename: {error}") from error
        raise refusal from error


def _refusal(error: RegistryRefused, new_path: str, field: str) -> Invalid | None:
    """What to tell people of the reasons that a rename can be refused for."""
    match error.status:
        case 400:
            return Invalid({field: "The name of an image below it would get too long."})
        case 404:
            return Conflict({field: "This registry can't rename images."})
        case 409:
            text = f"The registry has images at {new_path} that belong to nothing here: {error}."
            return Conflict({field: text})
        case 422:
            return Conflict({field: _TOO_MANY})
    return None


# Our own rows


def _images(path: str) -> QuerySet[ContainerRepository]:
    return ContainerRepository.objects.filter(_at_or_below("path", path))


def _at_or_below(column: str, path: str) -> Q:
    return Q(**{column: path}) | Q(**{f"{column}__startswith": f"{path}/"})


def _paths_below(path: str) -> list[tuple[QuerySet[Any], str]]:
    """All rows that hold a full path at or below `path`, with the name of the column."""
    full_path = _at_or_below("full_path", path)
    return [
        (Namespace.objects.filter(full_path), "full_path"),
        (Project.objects.filter(full_path), "full_path"),
        (Route.objects.filter(full_path), "full_path"),
        (_images(path), "path"),
    ]


@transaction.atomic
def _apply(pk: int) -> None:
    """All full paths, in one transaction. Nothing where somebody else has finished already."""
    change = PathChange.objects.select_for_update().filter(pk=pk).first()
    if change is None:
        return
    old, new = change.old_path, change.new_path
    # Held, so that what is created below just now is here before its path changes, or reads it
    # afterwards.
    below = Namespace.objects.filter(_at_or_below("full_path", old))
    list(below.select_for_update().values_list("pk", flat=True))
    routable: Routable
    if change.project_id is not None:
        routable = Project.objects.select_for_update().get(pk=change.project_id)
        assert change.new_parent is not None
        routable.namespace = change.new_parent
        routable.path = new.rpartition("/")[2]
        routable.save(update_fields=["namespace", "path", "updated_at"])
    else:
        assert change.namespace is not None
        routable = change.namespace
        routable.parent = change.new_parent
        routable.path = new.rpartition("/")[2]
        routable.save(update_fields=["parent", "path", "updated_at"])
    for rows, column in _paths_below(old):
        rows.update(**{column: Concat(Value(new), Substr(column, len(old) + 1))})
    resource_tokens.follow_path(new)
    routable.full_path = new
    kind = "project" if isinstance(routable, Project) else "group"
    record(f"{kind}.change_path", by=change.by, target=routable, full_path=[old, new])
    change.delete()
