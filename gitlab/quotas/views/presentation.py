"""How the pages of storage show what was measured: areas, rows, lines, with their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse

from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.views.image_pages import counted, image_url, name_of
from gitlab.namespaces.models import Namespace, Project, RegistryAccess, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import cleanup_url, registry_url, url_of
from gitlab.storage import reading
from gitlab.storage.models import Measure
from gitlab.storage.reading import Division, Holder, Sight, Tagged
from gitlab.ui.components.treemaps import Area
from gitlab.ui.components.values import mebibytes


@dataclass(frozen=True)
class Row:
    """A part of what is stored, in the table beside the drawing."""

    name: str
    url: str
    icon: str
    size: int
    alone: int
    percent: float
    images: int | None = None
    tags: int | None = None
    is_exact: bool = True

    @property
    def shared(self) -> int:
        """What others beside it have too."""
        return max(0, self.size - self.alone)


def url_inside(holder: Holder) -> str:
    """The page of what lies in a group, project or image."""
    if isinstance(holder, ContainerRepository):
        at: dict[str, Any] = {"path": holder.project.full_path, "pk": holder.pk}
        return reverse("quotas:image", kwargs=at)
    kind = "project" if isinstance(holder, Project) else "group"
    return reverse(f"quotas:{kind}", kwargs={"path": holder.full_path})


def drawing_of(holder: Holder, measure: Measure) -> dict[str, Any]:
    """The areas of a treemap, and what they mean."""
    division = reading.division_of(holder, measure)
    areas = [_area_of_part(part) for part in division.parts]
    areas += [_area_of_tag(holder, tag) for tag in division.tags]
    noun = _noun(holder)
    if division.others_bytes:
        areas.append(
            Area(
                f"{counted(division.others, 'other')}",
                division.others_bytes,
                mebibytes(division.others_bytes),
                kind="others",
            )
        )
    if division.shared_bytes:
        text = mebibytes(division.shared_bytes)
        areas.append(Area("shared", division.shared_bytes, text, kind="shared"))
    return {
        "areas": areas,
        "noun": noun,
        "division": division,
        "count_text": counted(division.count, "image")
        if isinstance(holder, Project)
        else f"{division.count:,} {noun}",
    }


def _noun(holder: Holder) -> str:
    if isinstance(holder, ContainerRepository):
        return "tags"
    return "images" if isinstance(holder, Project) else "projects and groups"


def _area_of_part(part: Measure) -> Area:
    holder = _holder_of(part)
    text = mebibytes(part.alone_bytes)
    return Area(_name_of(holder), part.alone_bytes, text, _url_of_part(holder))


def _url_of_part(holder: Holder) -> str:
    """Where a part leads. Of a project where nobody pushes, to its overview."""
    if isinstance(holder, Project) and (
        holder.archived or holder.registry_access == RegistryAccess.DISABLED
    ):
        return url_of(holder)
    return url_inside(holder)


def _area_of_tag(image: Holder, tag: Tagged) -> Area:
    return Area(_tag_label(tag), tag.alone_bytes, mebibytes(tag.alone_bytes), _tag_url(image, tag))


def _tag_label(tag: Tagged) -> str:
    more = tag.tags - 1
    return tag.names[0] + (f" and {more:,} more" if more else "")


def _tag_url(image: Holder, tag: Tagged) -> str:
    assert isinstance(image, ContainerRepository)
    return image_url(image, "tag", tag=tag.names[0])


def _holder_of(part: Measure) -> Holder:
    holder: Holder | None = part.repository or part.project or part.namespace
    assert holder is not None
    return holder


def _name_of(holder: Holder) -> str:
    return name_of(holder) if isinstance(holder, ContainerRepository) else holder.path


_ICONS: dict[type, str] = {
    Namespace: "folder",
    Project: "package",
    ContainerRepository: "container",
}


def rows_of(parts: Sequence[Measure], measure: Measure) -> list[Row]:
    """The rows of a page of parts."""
    rows = []
    for part in parts:
        holder = _holder_of(part)
        is_image = isinstance(holder, ContainerRepository)
        rows.append(
            Row(
                name=_name_of(holder),
                url=_url_of_part(holder),
                icon=_ICONS[type(holder)],
                size=part.size_bytes,
                alone=part.alone_bytes,
                percent=_percent(part.alone_bytes, measure),
                images=None if is_image else part.images,
                tags=part.tags,
                is_exact=part.is_exact,
            )
        )
    return rows


def rows_of_tags(image: ContainerRepository, division: Division, measure: Measure) -> list[Row]:
    """The rows of an image's largest tags."""
    return [
        Row(
            name=_tag_label(tag),
            url=_tag_url(image, tag),
            icon="tag",
            size=tag.size_bytes,
            alone=tag.alone_bytes,
            percent=_percent(tag.alone_bytes, measure),
        )
        for tag in division.tags
    ]


def _percent(size: int, measure: Measure) -> float:
    return round(size * 100 / measure.size_bytes, 1) if measure.size_bytes else 0.0


@dataclass(frozen=True)
class Cheapest:
    """Something that could be deleted: where, what, what that frees, since when nobody needed it,
    and the address of the question whether to.
    """

    image: str
    image_url: str
    what: str
    freed: int
    candidate: Any
    url: str


def cheapest_in(sight: Sight, holder: Holder) -> list[Cheapest]:
    """What could be deleted at and below something, as rows."""
    base = "" if isinstance(holder, ContainerRepository) else f"{holder.full_path}/"
    found = []
    for each in reading.cheapest_in(sight, holder):
        image, names = each.candidate.repository, each.candidate.names
        where = image_url(image, "untagged")
        if names:
            query = urlencode({"selected": names}, doseq=True)
            where = f"{image_url(image, 'tags_delete')}?{query}"
        found.append(
            Cheapest(
                image=image.path.removeprefix(base),
                image_url=image_url(image),
                what=", ".join(names) or counted(each.candidate.manifests, "untagged manifest"),
                freed=each.freed_bytes,
                candidate=each.candidate,
                url=where,
            )
        )
    return found


def growth_of(owner: Routable) -> list[tuple[Any, int, str]]:
    """The points of the line of growth."""
    days = reading.growth_of(owner)
    return [(row.day, row.size_bytes, mebibytes(row.size_bytes)) for row in days]


def links_of(owner: Routable) -> dict[str, str]:
    """Where one goes from the page of a project's or group's storage."""
    needed = Ability.ADMIN_IMAGE if isinstance(owner, Project) else Ability.ADMIN_GROUP
    deleted = ""
    if isinstance(owner, Project) and Ability.READ_IMAGE in owner.abilities and registry_url(owner):
        deleted = reverse("container_registry:deleted", kwargs={"path": owner.full_path})
    return {
        "here_url": url_of(owner),
        "deleted_url": deleted,
        "cleanup_url": cleanup_url(owner) if needed in owner.abilities else "",
    }
