"""Tags with what people want to know of them, by pages in both directions."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from django.db.models import Q, QuerySet, Value
from django.db.models.functions import StrIndex

from registry.errors import Code, RegistryError
from registry.models import Tag

SORTS = ("name", "-name", "published_at", "-published_at")


@dataclass(frozen=True)
class TagDetails:
    """`size` in bytes of what it refers to; `created_at` is what the image says of itself."""

    name: str
    digest: str
    config_digest: str
    media_type: str
    artifact_type: str
    size: int
    created_at: dt.datetime | None
    published_at: dt.datetime
    published_by: str
    platforms: list[dict[str, str]]


@dataclass(frozen=True)
class TagPage:
    """A page in the order asked for, and whether there are tags before and behind it."""

    tags: list[TagDetails]
    has_previous: bool
    has_next: bool


def page(
    repository_id: int,
    *,
    limit: int,
    last: str = "",
    before: str = "",
    name: str = "",
    sort: str = "name",
) -> TagPage:
    """Up to `limit` tags whose name contains `name`, after the tag `last` or before `before`.

    Raises UNSUPPORTED (400) where `sort` is unknown or both directions are asked for.
    """
    if sort not in SORTS or (last and before):
        raise RegistryError(
            Code.UNSUPPORTED, f"sort is one of {', '.join(SORTS)}; last or before", status=400
        )
    found = Tag.objects.filter(repository_id=repository_id, ended_at=None)
    if name:
        # Not LIKE, which SQLite matches in any case. Tags that differ in case are different tags.
        found = found.alias(found_at=StrIndex("name", Value(name))).filter(found_at__gt=0)
    backwards = bool(before)
    marker = before or last
    descending = sort.startswith("-") != backwards
    if marker:
        found = found.filter(_beyond(repository_id, marker, sort.lstrip("-"), descending))
    rows = list(_ordered(found, sort.lstrip("-"), descending)[: limit + 1])
    more = len(rows) > limit
    rows = rows[:limit]
    if backwards:
        rows.reverse()
        return TagPage([_details(tag) for tag in rows], more, True)
    return TagPage([_details(tag) for tag in rows], bool(last), more)


def find(repository_id: int, name: str) -> TagDetails:
    """One tag. Raises MANIFEST_UNKNOWN."""
    found = (
        Tag.objects.filter(repository_id=repository_id, name=name, ended_at=None)
        .select_related("manifest")
        .defer("manifest__payload")
        .first()
    )
    if found is None:
        raise RegistryError(Code.MANIFEST_UNKNOWN, tag=name)
    return _details(found)


def _ordered(found: QuerySet[Tag], column: str, descending: bool) -> QuerySet[Tag]:
    sign = "-" if descending else ""
    keys = ["name"] if column == "name" else ["started_at", "id"]
    ordered = found.order_by(*(sign + key for key in keys))
    return ordered.select_related("manifest").defer("manifest__payload")


def _beyond(repository_id: int, marker: str, column: str, descending: bool) -> Q:
    """What lies behind the tag `marker` in the order; a marker that has gone keeps its place."""
    side = "lt" if descending else "gt"
    if column == "name":
        return Q(**{f"name__{side}": marker})
    place = (
        Tag.objects.filter(repository_id=repository_id, name=marker)
        .order_by("-pk")
        .values_list("started_at", "pk")
        .first()
    )
    if place is None:
        return Q()
    conditions: dict[str, Any] = {f"started_at__{side}": place[0]}
    ties: dict[str, Any] = {"started_at": place[0], f"pk__{side}": place[1]}
    return Q(**conditions) | Q(**ties)


def _details(tag: Tag) -> TagDetails:
    manifest = tag.manifest
    assert manifest is not None
    return TagDetails(
        name=tag.name,
        digest=manifest.digest,
        config_digest=manifest.config_digest,
        media_type=manifest.media_type,
        artifact_type=manifest.artifact_type,
        size=manifest.content_size,
        created_at=manifest.image_created_at,
        published_at=tag.started_at,
        published_by=tag.started_by,
        platforms=manifest.platforms,
    )
