"""From rows to limits: those that hold for an image, and what a token says of them.

Every limit on the way up holds. A namespace at the top has the installation's default besides,
unless an administrator has set another one there.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, NamedTuple

from django.conf import settings

from gitlab.container_registry.image_paths import ImagePath
from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.paths import prefixes
from gitlab.quotas.models import Quota
from gitlab.server.databases import rows


class QuotaRow(NamedTuple):
    """A quota, as every token for a push reads it."""

    project_id: int | None
    namespace_id: int | None
    max_bytes: int | None
    max_images: int | None
    set_by_admin: bool


class Limit(NamedTuple):
    """How much there may be at and below a path, and who has said so."""

    path: str
    max_bytes: int | None
    max_images: int | None
    by_admin: bool

    def as_meta(self) -> dict[str, Any]:
        """What the registry reads: see `registry.quotas`."""
        ask = "an administrator" if self.by_admin else f"an owner of {self.path}"
        told = {"path": self.path, "bytes": self.max_bytes, "images": self.max_images, "ask": ask}
        if self.max_bytes is None and self.max_images is None:
            del told["ask"]
        return {key: value for key, value in told.items() if value is not None}


_QUOTAS = """
SELECT project_id, namespace_id, max_bytes, max_images, set_by_admin FROM quotas_quota
WHERE project_id IN ({projects}) OR namespace_id IN ({namespaces})
"""


def question(images: Collection[ImagePath]) -> tuple[str, list[int]]:
    """The query for the quotas of images as `QuotaRow`, and its parameters."""
    # No row has the id 0: a list of nothing is no list in SQL.
    projects = sorted({image.project.id for image in images if image.project}) or [0]
    namespaces = sorted({pk for image in images for pk in image.ancestors}) or [0]
    sql = _QUOTAS.format(projects=rows.marks(projects), namespaces=rows.marks(namespaces))
    return sql, [*projects, *namespaces]


class QuotasOfImages:
    """The quotas that `question` has found, by image."""

    def __init__(self, found: Iterable[QuotaRow]) -> None:
        found = list(found)
        self._of_projects = {row.project_id: row for row in found if row.project_id is not None}
        self._of_namespaces = {row.namespace_id: row for row in found if row.namespace_id}

    def as_meta(self, image: ImagePath) -> dict[str, Any]:
        """The ``meta`` of a token for a push to an image; empty where nothing limits it."""
        limits: list[Limit] = []
        above = zip(image.ancestors, prefixes(image.path), strict=False)
        for pk, full_path in above:
            row = self._of_namespaces.get(pk)
            limits += limits_at(full_path, row, is_top=pk == image.root_namespace_id)
        if image.project is not None:
            row = self._of_projects.get(image.project.id)
            limits += limits_at(image.project.full_path, row, is_top=False)
        return {"quota": [limit.as_meta() for limit in limits]} if limits else {}


def limits_at(path: str, row: QuotaRow | Quota | None, *, is_top: bool) -> list[Limit]:
    """The limits at one path: at most the row's and the installation's default."""
    default = Limit(path, settings.QUOTA_BYTES or None, settings.QUOTA_IMAGES or None, True)
    limits = []
    if is_top and default[1:3] != (None, None) and not (row and row.set_by_admin):
        limits.append(default)
    if row is not None:
        limits.append(Limit(path, row.max_bytes, row.max_images, row.set_by_admin))
    return limits


def holding(owner: Routable) -> list[Limit]:
    """The limits of a project or namespace and of all above it, the highest first. One query."""
    found: Mapping[str, Quota] = {
        quota.owner.full_path: quota
        for quota in _rows_around(owner).select_related("project", "namespace")
    }
    paths = prefixes(owner.full_path)
    return [
        limit
        for path in paths
        for limit in limits_at(path, found.get(path), is_top=path == paths[0])
    ]


def _rows_around(owner: Routable) -> Any:
    above = Quota.objects.filter(namespace__full_path__in=prefixes(owner.full_path))
    if isinstance(owner, Project):
        above = above | Quota.objects.filter(project=owner)
    return above
