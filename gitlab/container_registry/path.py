"""From the path of an image to its project.

    acme/tools/builder/cache/arm64
    └ namespace ┘└project┘└ rest ─┘     rest: at most two levels, "" for the project's own image

The deepest existing project wins. Where there is none, the project that a push would create is the
first segment below the deepest existing namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gitlab.namespaces.models import Namespace, Project
from gitlab.namespaces.paths import prefixes
from gitlab.server.databases import rows

MAX_LEVELS_BELOW = 2

_NAMESPACES = """
SELECT id, kind, path, full_path, parent_id, owner_id, visibility, pending_delete_at,
EXISTS (SELECT 1 FROM namespaces_pathchange c WHERE c.namespace_id = namespaces_namespace.id)
    AS is_changing
FROM namespaces_namespace WHERE full_path IN ({})
"""
_PROJECTS = """
SELECT id, namespace_id, path, full_path, visibility, registry_access, pending_delete_at,
EXISTS (SELECT 1 FROM namespaces_pathchange c WHERE c.project_id = namespaces_project.id)
    AS is_changing
FROM namespaces_project WHERE full_path IN ({})
"""


@dataclass(frozen=True)
class Place:
    """Where an image is, or would be.

    `project` is None where it would have to be created, as `new_project` in `namespace`.
    `ancestors` are the ids of the groups above, the root first; the last is `namespace`'s.
    `is_changing`: the path of the project or of something above is being changed.
    """

    path: str
    namespace: Namespace
    ancestors: tuple[int, ...]
    project: Project | None
    new_project: str
    rest: str
    is_changing: bool = False

    @property
    def root_namespace_id(self) -> int:
        """The id of the namespace at the top."""
        return self.ancestors[0]

    @property
    def project_path(self) -> str:
        """The full path of the project, whether it exists or not."""
        if self.project is not None:
            return self.project.full_path
        return f"{self.namespace.full_path}/{self.new_project}"


def places(paths: Iterable[str]) -> dict[str, Place]:
    """Where each image is, in two queries; one that belongs nowhere is left out.

    What is being deleted counts as there: nothing new may grow below it, and its `Place` says so by
    `pending_delete_at` of the rows. Attributes that no rule asks for are loaded when asked for.
    """
    asked = set(paths)
    wanted = sorted({prefix for path in asked for prefix in prefixes(path)})
    if not wanted:
        return {}
    # Written out, since composing them costs several times as much as running them.
    marks = ", ".join(["%s"] * len(wanted))
    namespaces = {
        namespace.full_path: namespace
        for namespace in rows.instances(Namespace, _NAMESPACES.format(marks), wanted)
    }
    projects = {
        project.full_path: project
        for project in rows.instances(Project, _PROJECTS.format(marks), wanted)
    }
    found = ((path, _place(path, namespaces, projects)) for path in asked)
    return {path: place for path, place in found if place is not None}


def _place(
    path: str, namespaces: Mapping[str, Namespace], projects: Mapping[str, Project]
) -> Place | None:
    namespace: Namespace | None = None
    project: Project | None = None
    ancestors: list[int] = []
    is_changing = False
    for prefix in prefixes(path):
        if prefix in namespaces:
            namespace = namespaces[prefix]
            ancestors.append(namespace.pk)
            is_changing |= bool(getattr(namespace, "is_changing", False))
        elif prefix in projects:
            project = projects[prefix]
            is_changing |= bool(getattr(project, "is_changing", False))
        else:
            break
    if namespace is None:
        return None
    base = project.full_path if project else namespace.full_path
    below = path[len(base) + 1 :].split("/") if len(path) > len(base) else []
    if project is None:
        if not below:
            return None  # A namespace is no image.
        new_project, *below = below
    else:
        new_project = ""
    if len(below) > MAX_LEVELS_BELOW:
        return None
    rest = "/".join(below)
    return Place(path, namespace, tuple(ancestors), project, new_project, rest, is_changing)
