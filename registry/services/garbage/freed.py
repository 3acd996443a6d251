"""What a deletion would free, before it is done: the numbers of a confirmation.

The same references are followed as the collector follows: a manifest stays that another tag holds,
or an index that stays lists; a blob's bytes stay that a manifest which stays refers to, here or in
another repository.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db.models import QuerySet

from registry.models import Manifest, ManifestBlob, ManifestChild, RepositoryBlob, Tag

_BATCH = 500


@dataclass(frozen=True)
class Freed:
    """`alone` bytes go with the deletion, `shared` ones stay because something else needs them."""

    manifests: int
    alone: int
    shared: int


def by_tags(repository_id: int, names: list[str]) -> Freed:
    """What deleting these tags would free."""
    named = set(
        Tag.objects.filter(repository_id=repository_id, name__in=names, ended_at=None).values_list(
            "manifest_id", flat=True
        )
    )
    others = Tag.objects.filter(repository_id=repository_id, ended_at=None).exclude(name__in=names)
    kept = {pk for batch in _batches(named) for pk in _held(others, batch)}
    return _freed(repository_id, _closure(repository_id, named - kept))


def by_repository(repository_id: int) -> Freed:
    """What deleting the whole repository would free."""
    everything = set(
        Manifest.objects.filter(repository_id=repository_id, deleted_at=None).values_list(
            "pk", flat=True
        )
    )
    return _freed(repository_id, everything)


def _held(tags: QuerySet[Tag], batch: list[int]) -> set[int]:
    return set(tags.filter(manifest_id__in=batch).values_list("manifest_id", flat=True))


def _batches(values: Iterable[int]) -> Iterator[list[int]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]


def _closure(repository_id: int, roots: set[int]) -> set[int]:
    """`roots`, less those that an index which stays lists, and all that only they hold."""
    here = Manifest.objects.filter(repository_id=repository_id, deleted_at=None)
    gone: set[int] = set()
    candidates = set(roots)
    while candidates:
        released: set[int] = set()
        for batch in _batches(candidates):
            rows = dict(here.filter(pk__in=batch).values_list("digest", "pk"))
            listed = ManifestChild.objects.filter(
                repository_id=repository_id, digest__in=list(rows), parent__deleted_at=None
            ).values_list("digest", "parent_id")
            stays = {digest for digest, parent in listed if parent not in gone | candidates}
            released |= {pk for digest, pk in rows.items() if digest not in stays}
        released -= gone
        if not released:
            break
        gone |= released
        candidates = _dependents(repository_id, released) - gone
    return gone


def _dependents(repository_id: int, released: set[int]) -> set[int]:
    """Untagged children and referrers of manifests that go."""
    here = Manifest.objects.filter(repository_id=repository_id, deleted_at=None)
    found: set[int] = set()
    for batch in _batches(released):
        digests = list(here.filter(pk__in=batch).values_list("digest", flat=True))
        children = list(
            ManifestChild.objects.filter(parent_id__in=batch).values_list("digest", flat=True)
        )
        found |= set(here.filter(digest__in=children).values_list("pk", flat=True))
        found |= set(here.filter(subject_digest__in=digests).values_list("pk", flat=True))
    tagged = {
        pk
        for batch in _batches(found)
        for pk in _held(Tag.objects.filter(repository_id=repository_id, ended_at=None), batch)
    }
    return found - tagged


def _freed(repository_id: int, gone: set[int]) -> Freed:
    links: dict[int, tuple[int, int]] = {}
    for batch in _batches(gone):
        rows = ManifestBlob.objects.filter(manifest_id__in=batch).values_list(
            "link_id", "link__blob_id", "link__blob__size"
        )
        links |= {link: (blob, size) for link, blob, size in rows}
    staying: set[int] = set()
    for batch in _batches(links):
        users = ManifestBlob.objects.filter(link_id__in=batch, manifest__deleted_at=None)
        staying |= {
            link
            for link, manifest in users.values_list("link_id", "manifest_id")
            if manifest not in gone
        }
    elsewhere: set[int] = set()
    for batch in _batches(blob for blob, _ in links.values()):
        rights = RepositoryBlob.objects.filter(
            blob_id__in=batch, repository__closed_at=None
        ).exclude(repository_id=repository_id)
        elsewhere |= set(rights.values_list("blob_id", flat=True))
    alone = shared = 0
    for link, (blob, size) in links.items():
        if link in staying or blob in elsewhere:
            shared += size
        else:
            alone += size
    return Freed(len(gone), alone, shared)
