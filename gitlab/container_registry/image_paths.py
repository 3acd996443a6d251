"""From the path of an image to its project.

    acme/tools/builder/cache/arm64
    └ namespace ┘└project┘└ rest ─┘     rest: at most two levels, "" for the project's own image

The deepest existing project wins. Where there is none, the project that a push would create is the
first segment below the deepest existing namespace.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from gitlab.namespaces.paths import prefixes
from gitlab.server.databases import rows
from tokens.names import MAX_LEVELS_BELOW


class NamespaceRow(NamedTuple):
    """What the decision about an image reads of a namespace above it."""

    id: int
    full_path: str
    owner_id: int | None
    visibility: str
    pending_delete_at: dt.datetime | None
    is_changing: bool


class ProjectRow(NamedTuple):
    """What the decision about an image reads of its project."""

    id: int
    full_path: str
    visibility: str
    registry_access: str
    archived: bool
    pending_delete_at: dt.datetime | None
    is_changing: bool


_NAMESPACES = """
SELECT id, full_path, owner_id, visibility, pending_delete_at,
EXISTS (SELECT 1 FROM namespaces_pathchange c WHERE c.namespace_id = namespaces_namespace.id)
FROM namespaces_namespace WHERE full_path IN ({})
"""
_PROJECTS = """
SELECT id, full_path, visibility, registry_access, archived, pending_delete_at,
EXISTS (SELECT 1 FROM namespaces_pathchange c WHERE c.project_id = namespaces_project.id)
FROM namespaces_project WHERE full_path IN ({})
"""


@dataclass(frozen=True)
class ImagePath:
    """Where an image is, or would be.

    `project` is None where it would have to be created, as `new_project` in `namespace`.
    `ancestors` are the ids of the groups above, the root first; the last is `namespace`'s.
    `is_changing`: the path of the project or of something above is being changed.
    """

    path: str
    namespace: NamespaceRow
    ancestors: tuple[int, ...]
    project: ProjectRow | None
    new_project: str
    rest: str
    is_changing: bool = False

    @property
    def is_too_deep(self) -> bool:
        """Whether it has more levels below its project than an image may have."""
        return self.rest.count("/") >= MAX_LEVELS_BELOW

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


def image_paths(paths: Iterable[str]) -> dict[str, ImagePath]:
    """Where each image is, in two queries; one that belongs nowhere is left out.

    So is one that lies too deep: see `located`. What is being deleted counts as there: nothing new
    may grow below it, and its `ImagePath` says so by `pending_delete_at` of the rows.
    """
    return {path: image for path, image in located(paths).items() if not image.is_too_deep}


def located(paths: Iterable[str]) -> dict[str, ImagePath]:
    """As `image_paths`, with those that lie too deep, so that somebody can be told."""
    asked = set(paths)
    if not asked:
        return {}
    namespaces, projects = (
        {row.full_path: row for row in found} for found in rows.read_together(*questions(asked))
    )
    found = ((path, _locate(path, namespaces, projects)) for path in asked)
    return {path: image for path, image in found if image is not None}


def questions(paths: Iterable[str]) -> tuple[rows.Question, rows.Question]:
    """What `located` asks for images, of which there is at least one."""
    wanted = sorted({prefix for path in paths for prefix in prefixes(path)})
    # Written out, since composing them costs several times as much as running them.
    marks = rows.marks(wanted)
    return (
        (NamespaceRow, _NAMESPACES.format(marks), wanted),
        (ProjectRow, _PROJECTS.format(marks), wanted),
    )


def _locate(
    path: str, namespaces: Mapping[str, NamespaceRow], projects: Mapping[str, ProjectRow]
) -> ImagePath | None:
    namespace: NamespaceRow | None = None
    project: ProjectRow | None = None
    ancestors: list[int] = []
    is_changing = False
    for prefix in prefixes(path):
        if prefix in namespaces:
            namespace = namespaces[prefix]
            ancestors.append(namespace.id)
            is_changing |= namespace.is_changing
        elif prefix in projects:
            project = projects[prefix]
            is_changing |= project.is_changing
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
    rest = "/".join(below)
    return ImagePath(path, namespace, tuple(ancestors), project, new_project, rest, is_changing)
