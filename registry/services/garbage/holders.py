"""Why is this still here? For any digest the chains of what holds it, up to where they end.

A chain begins at what was asked for and follows what the collector follows: a right to a blob, a
manifest, the index that lists it, the subject that it refers to, and at its end a tag, a tag that
ended within the window, a promise, the window of a deletion or of a young manifest.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from django.utils import timezone

from registry.models import (
    Blob,
    Manifest,
    Receipt,
    Repository,
    RepositoryBlob,
    Review,
    Tag,
    Tombstone,
)
from registry.services.garbage import holding, judging, leases, reviews
from registry.services.tags import signed_by
from registry.storage import chosen as storage

MOST = 100
"""Chains that an answer lists, and things that it looks at for each."""

MOST_STEPS = 100
"""Manifests that are looked at for an answer, each with about ten queries."""

DEEPEST = 40
"""Steps of a chain. What leads further is not followed."""

Step = dict[str, Any]


@dataclass
class Holder:
    """One chain. `until` is None where it holds for as long as nobody ends it."""

    repository: str
    repository_id: int
    chain: list[Step]
    until: dt.datetime | None


@dataclass
class Answer:
    """What is known of a digest.

    `state` is ``held``, ``garbage`` (it goes at `goes_at`, because of `because`), ``removed`` (the
    receipt says when and why) or ``unknown``. `size` is in bytes, None where no row says it.
    """

    digest: str
    state: str = "unknown"
    kinds: list[str] = field(default_factory=list)
    size: int | None = None
    is_stored: bool = False
    holders: list[Holder] = field(default_factory=list)
    goes_at: dt.datetime | None = None
    because: str = ""
    is_whole: bool = True
    paused_until: dt.datetime | None = None


@dataclass(frozen=True)
class _End:
    """When something can go: None is never by itself; with the words for it."""

    at: dt.datetime | None
    because: str


def why(digest: str, repository_id: int | None = None) -> Answer:
    """Everything that holds `digest`, which has been checked.

    With a `repository_id` what holds it there, as if there were no other: whether it is anywhere
    else is not told.
    """
    return _Search(digest, repository_id).answer()


class _Search:
    def __init__(self, digest: str, repository_id: int | None = None) -> None:
        self._within = {} if repository_id is None else {"repository_id": repository_id}
        self._answer = Answer(digest)
        lease = leases.current()
        self._answer.paused_until = lease.until if lease else None
        self._ends: dict[int, _End] = {}
        self._under_way: set[int] = set()
        self._steps = 0

    def answer(self) -> Answer:
        """Both readings of the digest: as a manifest's, and as a blob's."""
        found = self._answer
        ends: list[_End] = []
        rows = Manifest.objects.defer("payload").filter(digest=found.digest, **self._within)
        for manifest in rows.order_by("pk")[:MOST]:
            _add(found.kinds, "manifest")
            found.size = manifest.size
            ends.append(self._of_manifest(manifest, []))
        blob = Blob.objects.filter(digest=found.digest).first()
        of_blob = self._of_blob(blob) if blob is not None else []
        if blob is not None and of_blob:
            _add(found.kinds, "blob")
            found.size = blob.size
            ends += of_blob
        if ends or not self._within:
            found.is_stored = storage.current().size(found.digest) is not None
        if not ends:
            if not self._within:
                self._gone()
            return found
        lasting = [end for end in ends if end.at is None]
        found.state = "held" if lasting else "garbage"
        last = lasting[0] if lasting else max(ends, key=lambda end: end.at or timezone.now())
        found.goes_at, found.because = last.at, last.because
        return found

    def _gone(self) -> None:
        found = self._answer
        receipt = Receipt.objects.filter(digest=found.digest).order_by("-pk").first()
        if Tombstone.objects.filter(digest=found.digest).exists():
            found.state, found.because = "garbage", "its row has gone, its bytes are going"
            found.goes_at = timezone.now()
        elif receipt is not None:
            found.state, found.because = "removed", receipt.reason
            found.kinds, found.size = [receipt.kind], receipt.bytes
            found.goes_at = receipt.removed_at

    # Blobs

    def _of_blob(self, blob: Blob) -> list[_End]:
        rows = RepositoryBlob.objects.filter(blob_id=blob.pk, **self._within)
        links = list(rows.order_by("pk")[: MOST + 1])
        self._answer.is_whole = self._answer.is_whole and len(links) <= MOST
        if not links and self._within:
            return []
        if not links:
            return [self._review_of(Review.Kind.BLOB, blob.pk, "no repository may serve it")]
        return [self._of_link(link, blob.digest) for link in links[:MOST]]

    def _of_link(self, link: RepositoryBlob, digest: str) -> _End:
        repository = Repository.objects.get(pk=link.repository_id)
        ids = list(holding.naming(repository.pk, digest, link.pk)[:MOST])
        ends = [
            self._of_manifest(manifest, [])
            for manifest in Manifest.objects.defer("payload").filter(pk__in=ids).order_by("pk")
        ]
        if repository.closed_at is not None and not ends:
            return self._closed(repository, [])
        if ends:
            last = _latest(ends)
            if repository.closed_at is not None or last.at is None:
                return last
            return _End(last.at + reviews.grace(), f"its manifest goes then: {last.because}")
        end = self._review_of(Review.Kind.LINK, link.pk, "no manifest refers to it")
        step = {"kind": "promise", "reason": end.because}
        self._hold(repository, [step], end.at)
        return end

    # Manifests

    def _of_manifest(self, manifest: Manifest, below: list[Step]) -> _End:
        """When a manifest can go; its chains are noted. Digests make rings impossible.

        Names of tags do not: what is `_under_way` is not asked again.
        """
        known = self._ends.get(manifest.pk)
        if known is not None and not self._has_room():
            return known
        if self._steps >= MOST_STEPS:
            self._answer.is_whole = False
            return _End(None, "more refers to it than was looked at")
        self._steps += 1
        self._under_way.add(manifest.pk)
        step = {"kind": "manifest", "digest": manifest.digest, "media_type": manifest.media_type}
        chain = [*below, step]
        repository = Repository.objects.get(pk=manifest.repository_id)
        if repository.closed_at is not None:
            end = self._closed(repository, chain)
        else:
            end = _latest(list(self._holds(manifest, repository, chain)))
        self._ends[manifest.pk] = end
        self._under_way.discard(manifest.pk)
        return end

    def _holds(
        self, manifest: Manifest, repository: Repository, chain: list[Step]
    ) -> Iterable[_End]:
        tags = holding.open_tags(manifest.pk).order_by("name")
        for tag in tags[:MOST]:
            yield self._of_tag(tag, repository, [*chain, {"kind": "tag", "name": tag.name}])
        if manifest.deleted_at is None:
            if not repository.collect_untagged:
                self._hold(repository, [*chain, {"kind": "untagged are kept"}], None)
                yield _End(None, f"{repository.name} keeps untagged manifests")
            yield from self._above(manifest, repository, chain)
        until = judging.kept_until(manifest)
        if until > timezone.now():
            self._hold(repository, [*chain, _window(manifest)], until)
            yield _End(until, f"its window lasts until {until:%Y-%m-%d %H:%M:%S} UTC")
        yield self._review_of(Review.Kind.MANIFEST, manifest.pk, "nothing refers to it")

    def _of_tag(self, tag: Tag, repository: Repository, chain: list[Step]) -> _End:
        """A tag holds for good; one of cosign's until a window after the image that it names."""
        image = holding.subjects(repository.pk, signed_by(tag.name)).defer("payload").first()
        follows = image is not None and image.pk not in self._under_way
        if image is not None and follows and len(chain) <= DEEPEST:
            end = self._of_manifest(image, [*chain, {"kind": "signed image"}])
            if end.at is not None:
                at = end.at + reviews.window()
                return _End(at, f"the tag {tag.name} ends with its image: {end.because}")
        else:
            self._hold(repository, chain, None)
        return _End(None, f"the tag {tag.name} of {repository.name} points at it")

    def _above(
        self, manifest: Manifest, repository: Repository, chain: list[Step]
    ) -> Iterable[_End]:
        """The indexes that list it, and its subject: it goes a grace after the last of them."""
        here = Manifest.objects.defer("payload").filter(repository_id=repository.pk)
        parents = holding.listings(repository.pk, manifest.digest).order_by("pk")
        ids = list(parents.values_list("parent_id", flat=True)[:MOST])
        above = [("index", row) for row in here.filter(pk__in=ids).exclude(pk=manifest.pk)]
        if manifest.subject_digest:
            subjects = holding.subjects(repository.pk, manifest.subject_digest)
            above += [("subject", row) for row in subjects.defer("payload").exclude(pk=manifest.pk)]
        for relation, row in above:
            if len(chain) > DEEPEST:
                self._answer.is_whole = False
                yield _End(None, "more refers to it than was looked at")
                return
            end = self._of_manifest(row, [*chain, {"kind": relation}])
            if end.at is None:
                yield _End(None, f"the {relation} {row.digest} holds it: {end.because}")
            else:
                yield _End(end.at + reviews.grace(), f"its {relation} goes then: {end.because}")

    # Ends

    def _closed(self, repository: Repository, chain: list[Step]) -> _End:
        assert repository.closed_at is not None
        until = repository.closed_at + reviews.window()
        self._hold(repository, [*chain, {"kind": "deleted repository"}], until)
        return _End(until, f"{repository.name} was deleted, and can be brought back until then")

    def _review_of(self, kind: Review.Kind, target: int, words: str) -> _End:
        """When the collector looks at it. Without a review it never does: verify finds that."""
        review = Review.objects.filter(kind=kind, target=target).first()
        if review is not None:
            return _End(review.due_at, review.reason)
        if kind == Review.Kind.MANIFEST:
            # What holds it queues it when it goes. Alone this is the latest of nothing.
            return _End(_PAST, f"{words}, and no review waits")
        return _End(None, f"{words}, and no review waits: registry_verify --repair queues one")

    def _has_room(self) -> bool:
        return len(self._answer.holders) < MOST and self._steps < MOST_STEPS

    def _hold(self, repository: Repository, chain: list[Step], until: dt.datetime | None) -> None:
        if len(self._answer.holders) >= MOST:
            self._answer.is_whole = False
            return
        self._answer.holders.append(Holder(repository.name, repository.pk, chain, until))


_PAST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def _latest(ends: list[_End]) -> _End:
    for end in ends:
        if end.at is None:
            return end
    last = max(ends, key=lambda end: end.at or _PAST)
    if last.at == _PAST:
        return _End(None, f"{last.because}: registry_verify --repair queues one")
    return last


def _window(manifest: Manifest) -> Step:
    """Which window keeps a manifest that nothing else holds."""
    ended = Tag.objects.filter(manifest_id=manifest.pk, ended_at__isnull=False)
    last = ended.order_by("-ended_at").first()
    ended_at = last.ended_at if last is not None else None
    if last is not None and ended_at and ended_at >= (manifest.deleted_at or ended_at):
        return {"kind": "ended tag", "name": last.name}
    return {"kind": "deleted manifest" if manifest.deleted_at else "young manifest"}


def _add(kinds: list[str], kind: str) -> None:
    if kind not in kinds:
        kinds.append(kind)
