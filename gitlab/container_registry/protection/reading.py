"""From rows to `matching`: the rules that hold for images, for projects and for groups.

A project's rules hold in it, a group's in everything below it. A personal namespace has none.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from typing import NamedTuple, TypeVar

from django.db.models import Q, QuerySet

from gitlab.container_registry.image_paths import ImagePath
from gitlab.container_registry.protection.matching import (
    ACTIONS,
    RepositoryProtections,
    Rule,
    TagProtections,
)
from gitlab.container_registry.protection.models import RepositoryRule, TagRule
from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.paths import prefixes
from gitlab.server.databases import rows

MAX_META = 2000
"""Bytes that tag rules may take of a token (as JSON), so that it passes through proxies."""

KindOfRule = TypeVar("KindOfRule", RepositoryRule, TagRule)


class RuleRow(NamedTuple):
    """A rule of either kind, as every token for a push reads it."""

    is_of_tags: int
    project_id: int | None
    namespace_id: int | None
    pattern: str
    push: int | None
    delete: int | None


_RULES = """
SELECT 0, project_id, namespace_id, below, minimum_access_level_for_push,
minimum_access_level_for_delete FROM protection_repositoryrule
WHERE project_id IN ({projects}) OR namespace_id IN ({namespaces})
UNION ALL
SELECT 1, project_id, namespace_id, tag_name_pattern, minimum_access_level_for_push,
minimum_access_level_for_delete FROM protection_tagrule
WHERE project_id IN ({projects}) OR namespace_id IN ({namespaces})
"""


def question(images: Collection[ImagePath]) -> tuple[str, list[int]]:
    """The query for the rules of images as `RuleRow`, and its parameters."""
    projects = sorted({image.project.id for image in images if image.project})
    namespaces = sorted({pk for image in images for pk in image.ancestors})
    # No row has the id 0: a list of nothing is no list in SQL.
    projects, namespaces = projects or [0], namespaces or [0]
    sql = _RULES.format(projects=rows.marks(projects), namespaces=rows.marks(namespaces))
    return sql, [*projects, *namespaces] * 2


class RulesOfImages:
    """The rules that `question` has found, by image."""

    def __init__(self, found: Iterable[RuleRow]) -> None:
        self._found = list(found)

    def __bool__(self) -> bool:
        return bool(self._found)

    def repositories(self, image: ImagePath) -> RepositoryProtections:
        """The repository rules of an image's project and of the groups above."""
        owners = _owners(image)
        found = ((row, owners.get(_key(row))) for row in self._found if not row.is_of_tags)
        return RepositoryProtections(
            Rule(f"{of}{row.pattern}", row.push, row.delete, of) for row, of in found if of
        )

    def tags(self, image: ImagePath) -> TagProtections:
        """The tag rules of an image's project and of the groups above."""
        owners = _owners(image)
        found = ((row, owners.get(_key(row))) for row in self._found if row.is_of_tags)
        return TagProtections(
            Rule(row.pattern, row.push, row.delete, of) for row, of in found if of
        )


def _key(row: RuleRow) -> tuple[str, int]:
    if row.project_id is not None:
        return "project", row.project_id
    return "namespace", row.namespace_id or 0


def _owners(image: ImagePath) -> dict[tuple[str, int], str]:
    """The full path of each row whose rules hold for an image."""
    above = zip(image.ancestors, prefixes(image.path), strict=False)
    owners = {("namespace", pk): full_path for pk, full_path in above}
    if image.project is not None:
        owners["project", image.project.id] = image.project.full_path
    return owners


def holding(kind: type[KindOfRule], owner: Routable) -> QuerySet[KindOfRule]:
    """The rules of a project or group and of the groups above it, the highest first."""
    namespace = owner.namespace.full_path if isinstance(owner, Project) else owner.full_path
    where = Q(namespace__full_path__in=prefixes(namespace))
    if isinstance(owner, Project):
        where |= Q(project=owner)
    return (
        kind.objects.filter(where)
        .select_related("project", "namespace")
        .order_by("project_id", "namespace__full_path", "pk")
    )


def as_rule(row: RepositoryRule | TagRule) -> Rule:
    """A row as `matching` knows it."""
    return Rule(
        str(row),
        row.minimum_access_level_for_push,
        row.minimum_access_level_for_delete,
        row.owner.full_path,
    )


def tag_protections(owner: Routable) -> TagProtections:
    """The tag rules that hold in a project or group. One query."""
    return TagProtections(as_rule(row) for row in holding(TagRule, owner))


def repository_protections(owner: Routable) -> RepositoryProtections:
    """The repository rules that hold in a project or group. One query."""
    return RepositoryProtections(as_rule(row) for row in holding(RepositoryRule, owner))


def is_too_long(protections: TagProtections) -> bool:
    """Whether a token has no room for what tag rules deny to somebody, at the worst."""
    return len(json.dumps(protections.as_meta(ACTIONS, 0), separators=(",", ":"))) > MAX_META


def has_rules_around(path: str) -> bool:
    """Whether any rule holds for what is at or below the path of a project or group."""
    above = Q(namespace__full_path__in=prefixes(path)) | Q(project__full_path=path)
    below = Q(namespace__full_path__startswith=f"{path}/") | Q(
        project__full_path__startswith=f"{path}/"
    )
    where = above | below
    return any(kind.objects.filter(where).exists() for kind in (RepositoryRule, TagRule))
