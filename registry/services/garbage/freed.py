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

from django.db.models import Exists, OuterRef, Q, Sum

from registry.models import Manifest, ManifestChild, Repository, RepositoryBlob, Tag
from registry.services import statistics, tags
from registry.services.garbage import holding
from registry.visible import EVERYTHING, Visible

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much is counted: `manifests` that may fall with tags, and `rows` of what these refer to.

    Every engine takes so many manifests as parameters of one statement.
    """

    manifests: int
    rows: int


WAITED_FOR = Bounds(2000, 20_000)
"""While somebody waits."""

PLANNED = Bounds(20_000, 200_000)
"""For a job of GitLab's side."""


class _TooMuch(Exception):
    """More hangs on the tags than is counted."""


@dataclass(frozen=True)
class Freed:
    """`alone` bytes go with the deletion, `shared` ones stay because something else needs them.

    Where `is_exact` is false, more goes than could be counted: the numbers are the least.
    """

    manifests: int = 0
    alone: int = 0
    shared: int = 0
    is_exact: bool = True


def missing(repository_id: int, names: list[str]) -> list[str]:
    """Those of `names`, at most ten thousand, that no tag has now."""
    rows = Tag.objects.filter(repository_id=repository_id, name__in=names, ended_at=None)
    there = set(rows.values_list("name", flat=True))
    return [name for name in names if name not in there]


def by_tags(
    repository_id: int,
    names: list[str],
    visible: Visible = EVERYTHING,
    bounds: Bounds = WAITED_FOR,
) -> Freed:
    """What deleting up to ten thousand tags would free; nothing where the repository keeps
    untagged manifests.

    What other repositories need counts as far as these are `visible`.
    """
    if not Repository.objects.filter(pk=repository_id, collect_untagged=True).exists():
        return Freed()
    named = Tag.objects.filter(repository_id=repository_id, name__in=names, ended_at=None)
    fall = _Fall(repository_id, set(named.values_list("pk", flat=True)), bounds)
    try:
        fall.reach({pk for pk in named.values_list("manifest_id", flat=True) if pk is not None})
        return _freed(repository_id, fall.gone(), visible)
    except _TooMuch:
        return Freed(is_exact=False)


def by_manifests(repository_id: int, digests: list[str], visible: Visible = EVERYTHING) -> Freed:
    """What deleting these manifests would free, which nothing holds; what they list stays."""
    gone: dict[int, str] = {}
    for some in _batches(digests):
        rows = Manifest.objects.filter(
            repository_id=repository_id, digest__in=some, deleted_at=None
        )
        gone |= dict(rows.values_list("pk", "digest"))
    if holding.weight(sorted(gone), WAITED_FOR.rows) > WAITED_FOR.rows:
        return Freed(is_exact=False)
    return _freed(repository_id, gone, visible)


def by_repository(repository_id: int, visible: Visible = EVERYTHING) -> Freed:
    """What deleting the whole repository would free; see `by_tags`."""
    manifests = Manifest.objects.filter(repository_id=repository_id, deleted_at=None).count()
    held = statistics.held_by(repository_id, visible)
    return Freed(manifests, held.size - held.shared, held.shared, held.is_exact)


def _batches(values: Iterable[Any], size: int = _BATCH) -> Iterator[list[Any]]:
    ordered = sorted(values)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]


@dataclass
class _Fall:
    """Which manifests of a repository fall with tags: first all within reach, then less what stays.

    `tags` are the ids of the tags that end.
    """

    repository_id: int
    tags: set[int]
    bounds: Bounds
    reached: dict[int, str] = field(default_factory=dict)
    """By id the digests of manifests that may fall."""

    held_by: defaultdict[int, set[int]] = field(default_factory=lambda: defaultdict(set))
    """By id of a manifest within reach those of others that it holds."""

    rows: int = 0
    """References that were followed."""

    staying: set[int] = field(default_factory=set)
    """The ids of those that something out of reach holds."""

    def reach(self, ids: set[int]) -> None:
        """Take in manifests, and all that only they may hold. Raises `_TooMuch`."""
        while ids:
            if len(self.reached) + len(ids) > self.bounds.manifests:
                raise _TooMuch
            self.rows += holding.weight(sorted(ids), self.bounds.rows - self.rows)
            if self.rows > self.bounds.rows:
                raise _TooMuch
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
        by_digest = {digest: pk for pk, digest in self.reached.items()}
        tags = Tag.objects.filter(manifest_id__in=ids, ended_at=None).exclude(pk__in=self.tags)
        self.staying.update(pk for pk in tags.values_list("manifest_id", flat=True) if pk)
        for parent, digest in ManifestChild.objects.filter(parent_id__in=ids).values_list(
            "parent_id", "digest"
        ):
            if digest in by_digest:
                self._held(parent, by_digest[digest])
        # Of what may list one of them thousands of times, one row each says enough.
        outside = holding.listings(self.repository_id, OuterRef("digest")).filter(
            parent__deleted_at=None
        )
        listed = Manifest.objects.filter(
            Exists(outside.exclude(parent_id__in=list(self.reached))), pk__in=ids
        )
        self.staying.update(listed.values_list("pk", flat=True))
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


def _freed(repository_id: int, gone: dict[int, str], visible: Visible) -> Freed:
    """The bytes of what manifests name, given by id with their digests."""
    known = [(pk, repository_id, digest) for pk, digest in gone.items()]
    # Each question names all that goes: of much that goes there are few questions.
    at_once = max(_BATCH, len(gone) // 4)
    alone = shared = 0
    for some in _batches(holding.dependents(known).links, at_once):
        links = RepositoryBlob.objects.filter(pk__in=some)
        size = links.aggregate(size=Sum("blob__size"))["size"] or 0
        staying: dict[int, int] = {}
        for stays in _staying(repository_id, list(gone), visible):
            staying |= dict(links.filter(stays).values_list("pk", "blob__size"))
        stay = sum(staying.values())
        alone += size - stay
        shared += stay
    return Freed(len(gone), alone, shared)


def _staying(repository_id: int, gone: list[int], visible: Visible) -> Iterator[Q]:
    """The conditions of rights whose blobs stay: manifests that stay refer to one or list it, or
    another repository may serve it.
    """
    users = holding.references(OuterRef("pk")).filter(manifest__deleted_at=None)
    yield Q(Exists(users.exclude(manifest_id__in=gone)))
    named = holding.listings(repository_id, OuterRef("blob__digest")).filter(
        parent__deleted_at=None
    )
    yield Q(Exists(named.exclude(parent_id__in=gone)))
    yield _elsewhere(repository_id, visible)


def _elsewhere(repository_id: int, visible: Visible) -> Q:
    """The condition of rights to blobs that other repositories may serve too."""
    others = RepositoryBlob.objects.filter(
        visible.where("repository__name"),
        blob_id=OuterRef("blob_id"),
        repository__closed_at=None,
    )
    return Q(Exists(others.exclude(repository_id=repository_id)))
