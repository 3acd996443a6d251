"""What a deletion would free, before it is done: the numbers of a confirmation.

What goes is what the collector would remove in the end: see `holding`. What is deleted already, or
on its way, counts neither as going nor as holding. A blob's bytes stay that a manifest which stays
names, here or in another repository.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from registry.models import (
    Manifest,
    ManifestBlob,
    ManifestChild,
    Repository,
    RepositoryBlob,
    Tag,
)
from registry.services import tags
from registry.services.garbage import holding

_BATCH = 500


@dataclass(frozen=True)
class Freed:
    """`alone` bytes go with the deletion, `shared` ones stay because something else needs them."""

    manifests: int
    alone: int
    shared: int


def by_tags(repository_id: int, names: list[str]) -> Freed:
    """What deleting tags would free; nothing where the repository keeps untagged manifests."""
    if not Repository.objects.filter(pk=repository_id, collect_untagged=True).exists():
        return Freed(0, 0, 0)
    named = Tag.objects.filter(repository_id=repository_id, name__in=names, ended_at=None)
    fall = _Fall(repository_id, set(named.values_list("pk", flat=True)))
    fall.reach({pk for pk in named.values_list("manifest_id", flat=True) if pk is not None})
    return _freed(repository_id, fall.gone())


def by_repository(repository_id: int) -> Freed:
    """What deleting the whole repository would free."""
    everything = Manifest.objects.filter(repository_id=repository_id, deleted_at=None)
    return _freed(repository_id, dict(everything.values_list("pk", "digest")))


def _batches(values: Iterable[Any]) -> Iterator[list[Any]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), _BATCH):
        yield ordered[start : start + _BATCH]


@dataclass
class _Fall:
    """Which manifests of a repository fall with tags: first all within reach, then less what stays.

    `tags` are the ids of the tags that end.
    """

    repository_id: int
    tags: set[int]
    reached: dict[int, str] = field(default_factory=dict)
    """By id the digests of manifests that may fall."""

    held_by: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    """By id of a manifest within reach those of others that it holds."""

    staying: set[int] = field(default_factory=set)
    """The ids of those that something out of reach holds."""

    def reach(self, ids: set[int]) -> None:
        """Take in manifests, and all that only they may hold."""
        while ids:
            here = Manifest.objects.filter(repository_id=self.repository_id, deleted_at=None)
            found: list[tuple[int, str]] = []
            for some in _batches(ids):
                found += here.filter(pk__in=some).values_list("pk", "digest")
            self.reached |= dict(found)
            rows = [(pk, self.repository_id, digest) for pk, digest in found]
            below = holding.dependents(rows).manifests | self._signed(found)
            ids = below - self.reached.keys()

    def _signed(self, manifests: list[tuple[int, str]]) -> set[int]:
        """What cosign's tags of manifests point at: they end with them."""
        by_name = {digest.replace(":", "-"): pk for pk, digest in manifests}
        signed: set[int] = set()
        for some in _batches(digest for _, digest in manifests):
            for tag in tags.signatures_of([(self.repository_id, digest) for digest in some]):
                image = by_name[tag.name.rpartition(".")[0]]
                # One that points at its own image holds it for good.
                if tag.manifest_id is not None and tag.manifest_id != image:
                    self.tags.add(tag.pk)
                    self.held_by[image].add(tag.manifest_id)
                    signed.add(tag.manifest_id)
        return signed

    def gone(self) -> dict[int, str]:
        """By id the digests of those that nothing holds any more."""
        for some in _batches(self.reached):
            self._look_up(some)
        left = list(self.staying)
        while left:
            found = self.held_by[left.pop()] - self.staying
            self.staying |= found
            left += found
        return {pk: digest for pk, digest in self.reached.items() if pk not in self.staying}

    def _look_up(self, ids: list[int]) -> None:
        """Note what holds manifests, from within reach and from outside."""
        by_digest = {self.reached[pk]: pk for pk in ids}
        for tag, pk in Tag.objects.filter(manifest_id__in=ids, ended_at=None).values_list(
            "pk", "manifest_id"
        ):
            if tag not in self.tags and pk is not None:
                self.staying.add(pk)
        indexes = ManifestChild.objects.filter(
            repository_id=self.repository_id,
            digest__in=list(by_digest),
            parent__deleted_at=None,
        )
        for digest, parent in indexes.values_list("digest", "parent_id"):
            self._held(parent, by_digest[digest])
        referrers = Manifest.objects.filter(pk__in=ids, subject_digest__isnull=False)
        rows = list(referrers.values_list("pk", "subject_digest"))
        above = Manifest.objects.filter(
            repository_id=self.repository_id,
            digest__in={subject for _, subject in rows},
            deleted_at=None,
        )
        known = dict(above.values_list("digest", "pk"))
        for pk, subject in rows:
            if subject in known:
                self._held(known[subject], pk)

    def _held(self, holder: int, manifest_id: int) -> None:
        if holder == manifest_id:
            return
        if holder in self.reached:
            self.held_by[holder].add(manifest_id)
        else:
            self.staying.add(manifest_id)


def _freed(repository_id: int, gone: dict[int, str]) -> Freed:
    """The bytes of what manifests name, given by id with their digests."""
    known = [(pk, repository_id, digest) for pk, digest in gone.items()]
    links: dict[int, tuple[int, int, str]] = {}
    for some in _batches(holding.dependents(known).links):
        found = RepositoryBlob.objects.filter(pk__in=some)
        rows = found.values_list("pk", "blob_id", "blob__size", "blob__digest")
        links |= {link: (blob, size, digest) for link, blob, size, digest in rows}
    staying = _needed(repository_id, links, gone)
    elsewhere: set[int] = set()
    for some in _batches({blob for blob, _, _ in links.values()}):
        rights = RepositoryBlob.objects.filter(blob_id__in=some, repository__closed_at=None)
        others = rights.exclude(repository_id=repository_id)
        elsewhere.update(others.values_list("blob_id", flat=True))
    alone = shared = 0
    for link, (blob, size, _) in links.items():
        if link in staying or blob in elsewhere:
            shared += size
        else:
            alone += size
    return Freed(len(gone), alone, shared)


def _needed(
    repository_id: int, links: dict[int, tuple[int, int, str]], gone: dict[int, str]
) -> set[int]:
    """The rights among `links` whose blobs manifests name that stay."""
    staying: set[int] = set()
    for some in _batches(links):
        users = ManifestBlob.objects.filter(link_id__in=some, manifest__deleted_at=None)
        staying.update(
            link
            for link, manifest in users.values_list("link_id", "manifest_id")
            if manifest not in gone
        )
    by_digest = {digest: link for link, (_, _, digest) in links.items()}
    for some in _batches(by_digest):
        listings = ManifestChild.objects.filter(
            repository_id=repository_id, digest__in=some, parent__deleted_at=None
        )
        staying.update(
            by_digest[digest]
            for digest, parent in listings.values_list("digest", "parent_id")
            if parent not in gone
        )
    return staying
