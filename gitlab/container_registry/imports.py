"""Images that the registry has got without a push: what holds them here, and what has to be made.

    acme/tools/builder/cache
    └groups┘└project┘└ rest ┘     with two levels of groups; with one, `tools` is the project

Existing groups and projects count first: the deepest one wins, as for a push.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import islice

from gitlab.container_registry import repositories
from gitlab.container_registry.image_paths import (
    ImagePath,
    NamespaceRow,
    ProjectRow,
    image_paths,
    located,
)
from gitlab.namespaces import services
from gitlab.namespaces.models import Namespace
from gitlab.namespaces.paths import prefixes
from gitlab.principals import Person
from gitlab.refusals import NotFound
from tokens import names as naming
from tokens.access import is_repository_name

_BATCH = 100
"""Names that are looked up at once; each asks for the paths above it too."""

REASON = "import"


@dataclass(frozen=True)
class Plan:
    """What noting an image takes: the groups and the project to be made, as full paths.

    `objection` says why it can't be held, "" where it can.
    """

    name: str
    groups: tuple[str, ...] = ()
    project: str = ""
    objection: str = ""


def plans(names: Iterable[str], *, group_levels: int = 1) -> Iterator[Plan]:
    """What noting each image takes. Where groups are missing, so many segments are groups."""
    waiting = iter(names)
    while some := list(islice(waiting, _BATCH)):
        fitting = [name for name in some if is_repository_name(name)]
        here = located(fitting)
        taken = _namespaces(fitting)
        for name in some:
            yield _plan(name, here.get(name), name in taken, group_levels)


def objections(names: Iterable[str]) -> dict[str, str]:
    """By name why it can't be held here, without those that can.

    For a node that takes images over with GitLab's side beside it: see `tokens.names`.
    """
    return {plan.name: plan.objection for plan in plans(names) if plan.objection}


def note(plan: Plan, *, by: Person | None) -> None:
    """Make what `plan` says is missing, privately and with `by` as its owner, and note the image.

    Without `by` nothing is made. Raises `Invalid`, `Forbidden`, `NotFound`.
    """
    if by is not None:
        _make(plan, by)
    image = image_paths([plan.name]).get(plan.name)
    if image is None or image.project is None:
        raise NotFound("there is no project, and no namespace to make it in")
    repositories.note(image.project, plan.name, by=by)


def _make(plan: Plan, by: Person) -> None:
    for path in plan.groups:
        above, _, segment = path.rpartition("/")
        parent = Namespace.objects.filter(full_path=above).first() if above else None
        if above and parent is None:
            raise NotFound(f"the group {above} is gone")
        services.create_group(by, path=segment, parent=parent)
    if plan.project:
        image = image_paths([plan.name]).get(plan.name)
        if image is not None and image.project is None:
            repositories.create_project_of(image, by=by, reason=REASON)


def _namespaces(names: list[str]) -> set[str]:
    """Those of the names that are paths of groups or of people."""
    return set(Namespace.objects.filter(full_path__in=names).values_list("full_path", flat=True))


def _plan(name: str, image: ImagePath | None, is_namespace: bool, group_levels: int) -> Plan:
    plan = Plan(name)
    segments = name.split("/")
    if not is_repository_name(name):
        return replace(plan, objection=naming.objection(name))
    if is_namespace:
        return replace(plan, objection="is the path of a group, or of a person")
    if image is not None and (why := _obstacle(image)):
        return replace(plan, objection=why)
    if image is not None and image.project is not None:
        return _checked(plan, image.project.full_path.count("/"))
    if len(segments) == 1:
        return replace(plan, objection=naming.objection(name))
    depth = 0 if image is None else image.namespace.full_path.count("/") + 1
    is_personal = image is not None and image.namespace.owner_id is not None
    project_at = depth if is_personal else max(depth, min(group_levels, len(segments) - 1))
    paths = prefixes(name)
    plan = replace(plan, groups=tuple(paths[depth:project_at]), project=paths[project_at])
    return _checked(plan, project_at)


def _obstacle(image: ImagePath) -> str:
    """What is in the way in the rows above an image."""
    row: NamespaceRow | ProjectRow = image.project or image.namespace
    if image.namespace.pending_delete_at or row.pending_delete_at:
        return f"{row.full_path} is being deleted"
    return f"{row.full_path} is being moved" if image.is_changing else ""


def _checked(plan: Plan, project_at: int) -> Plan:
    """The plan, unless what it makes is reserved or the image lies too deep below its project."""
    for path in (*plan.groups, *([plan.project] if plan.project else [])):
        segment = path.rpartition("/")[2]
        if why := naming.reservation(segment, at_top=segment == path):
            return Plan(plan.name, objection=why)
    why = naming.depth(plan.name, project_at)
    return Plan(plan.name, objection=why) if why else plan
