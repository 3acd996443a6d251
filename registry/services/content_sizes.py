"""How many bytes lie behind an index: platforms share layers, and each counts once."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TypeVar

from django.db.models import QuerySet, Sum

from registry import media_types
from registry.models import Manifest, ManifestChild, RepositoryBlob
from registry.services import blobs
from registry.services.garbage import holding

MAX_MANIFESTS = 10_000
"""Manifests behind an index, at any depth."""

MAX_ROWS = 100_000
"""References of these that are followed. Behind more, what is shared is counted more than once."""

_BATCH = 500

T = TypeVar("T")


def of_index(repository_id: int, listed: Collection[str]) -> int:
    """Bytes of the manifests' blobs, and of the blobs, that an index lists and that are here."""
    names = list(listed)
    found = blobs.links_here(repository_id, names)
    sizes = dict(found.values())
    images = _images(repository_id, names)
    if images is None or holding.weight(images, MAX_ROWS) > MAX_ROWS:
        return sum(sizes.values()) + _sum_of(repository_id, names)
    for some in _batches(images):
        rows = RepositoryBlob.objects.filter(manifestblob__manifest_id__in=some)
        sizes |= dict(rows.values_list("pk", "blob__size").distinct())
    return sum(sizes.values())


def _images(repository_id: int, listed: Sequence[str]) -> list[int] | None:
    """The ids of what is listed and here, and of what indexes among it list; None for too many."""
    seen: set[int] = set()
    level = listed
    while level:
        found: dict[int, str] = {}
        for some in _batches(level):
            found |= dict(_here(repository_id, some).values_list("pk", "media_type"))
        new = found.keys() - seen
        seen |= new
        if len(seen) > MAX_MANIFESTS:
            return None
        indexes = [pk for pk in new if found[pk] in media_types.INDEXES]
        level = []
        for parents in _batches(indexes):
            children = ManifestChild.objects.filter(parent_id__in=parents)
            level += children.values_list("digest", flat=True)[: MAX_MANIFESTS + 1]
        if len(level) > MAX_MANIFESTS:
            return None
    return sorted(seen)


def _sum_of(repository_id: int, listed: Sequence[str]) -> int:
    sums = [
        _here(repository_id, some).aggregate(Sum("content_size"))["content_size__sum"] or 0
        for some in _batches(listed)
    ]
    return sum(sums)


def _here(repository_id: int, digests: Sequence[str]) -> QuerySet[Manifest]:
    return Manifest.objects.filter(repository_id=repository_id, digest__in=digests, deleted_at=None)


def _batches(values: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]
