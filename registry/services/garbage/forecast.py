"""What the collector would do now, without doing it: the dry run.

The same questions in the same order as in `services.judging`, asked of the rows as they are and of
a list of what would have gone by then. Nothing is locked and nothing is written, so pushes that
come in between may change the answer: it is a forecast.
`tests/registry/services/garbage/test_forecast.py` holds it to what a real run does afterwards.
"""

from __future__ import annotations

import datetime as dt
import heapq
import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from django.utils import timezone

from registry.models import (
    Blob,
    Manifest,
    Repository,
    RepositoryBlob,
    Review,
)
from registry.services import tags
from registry.services.garbage import holding, judging, leases, purging, reviews
from registry.services.garbage.batches import divide
from registry.storage import chosen as storage

MOST_ITEMS = 1000
"""Things that an answer lists; the counts and the bytes are of all."""

_BATCH = 500


@dataclass(frozen=True, slots=True)
class Item:
    """Something that would go: `at` is when, `bytes` what its row says."""

    kind: str
    digest: str
    repository: str
    bytes: int
    reason: str
    at: dt.datetime


@dataclass
class Forecast:
    """What would go now (`items`), and what would follow because of it when its grace is over.

    `bytes` and `bytes_later` are what the store would really get back: a blob once however many
    images share it, and only with its last right. `is_whole` is False where the limit cut it short.
    """

    items: list[Item] = field(default_factory=list)
    later: list[Item] = field(default_factory=list)
    reviewed: int = 0
    removed: int = 0
    removed_later: int = 0
    bytes: int = 0
    bytes_later: int = 0
    is_whole: bool = True
    is_paused: bool = False


@dataclass(order=True, slots=True)
class _Candidate:
    due_at: dt.datetime
    order: int
    kind: str = field(compare=False)
    target: int = field(compare=False)
    reason: str = field(compare=False)


class _Postpone(Exception):
    def __init__(self, until: dt.datetime) -> None:
        super().__init__(until)
        self.until = until


class _Live(Exception):
    pass


def _nothing() -> None:
    """Nothing follows."""


def forecast(limit: int) -> Forecast:
    """What reviewing up to `limit` candidates now would remove, and up to `limit` more later."""
    return _Simulation(limit).run()


class _Simulation:
    """The rows, less what would have gone."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._now = self._started = timezone.now()
        self._found = Forecast(is_paused=leases.current() is not None)
        self._manifests: set[int] = set()
        self._links: set[int] = set()
        self._blobs: set[int] = set()
        self._ended_tags: dict[int, tuple[int, dt.datetime]] = {}
        self._purged_to: dict[int, str] = {}
        self._rights_to: dict[int, int] = {}
        self._queue: list[_Candidate] = []
        self._waiting: dict[tuple[str, int], _Candidate] = {}
        last = Review.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
        self._new_ids = itertools.count(last + 1)
        self._ids: dict[tuple[str, int], int] = {}

    def run(self) -> Forecast:
        """Now, then what follows."""
        due = Review.objects.filter(due_at__lte=self._now).order_by("due_at", "id")
        for review in due[: self._limit]:
            self._ids[review.kind, review.target] = review.pk
            self._push(review.kind, review.target, review.reason, review.due_at)
        while self._found.reviewed < self._limit and self._is_due():
            self._review_due(self._limit - self._found.reviewed)
        if self._is_due() or due[self._limit : self._limit + 1].exists():
            self._found.is_whole = False
        self._follow()
        return self._found

    def _review_due(self, limit: int) -> None:
        """As many as are due, in the collector's batches."""
        popped: list[_Candidate] = []
        while len(popped) < limit and self._is_due():
            popped.append(self._pop())
        by_key = {(candidate.kind, candidate.target): candidate for candidate in popped}
        for division in divide([(key, *key) for key in by_key]):
            # What a batch before has queued anew is no longer due.
            batch = [by_key[key] for key in division.repository_ids if key not in self._waiting]
            self._found.reviewed += len(batch)
            self._review_batch(batch)

    def _review_batch(self, batch: list[_Candidate]) -> None:
        """First all verdicts, then what follows from them."""
        acts = [(candidate, self._verdict(candidate)) for candidate in batch]
        for candidate, act in acts:
            if act is not None:
                self._end(candidate)
        self._manifests.update(
            candidate.target
            for candidate, act in acts
            if act not in (None, _nothing) and candidate.kind == Review.Kind.MANIFEST
        )
        for _, act in acts:
            if act is not None:
                act()

    def _follow(self) -> None:
        """What was queued by the removals, each when its time has come."""
        steps = 0
        while self._queue and steps < self._limit:
            steps += 1
            candidate = self._pop()
            self._now = max(self._now, candidate.due_at)
            self._review_batch([candidate])
        self._found.is_whole = self._found.is_whole and not self._queue

    # The queue

    def _push(self, kind: str, target: int, reason: str, due_at: dt.datetime) -> None:
        """One candidate a target, as in the table; a later call moves it."""
        key = (kind, target)
        if key not in self._ids:
            row = Review.objects.filter(kind=kind, target=target).only("pk").first()
            self._ids[key] = row.pk if row else next(self._new_ids)
        candidate = _Candidate(due_at, self._ids[key], kind, target, reason)
        self._waiting[key] = candidate
        heapq.heappush(self._queue, candidate)

    def _learn_ids(self, kind: str, targets: set[int]) -> None:
        """The ids of the rows of targets that wait already, many at once: `_push` asks for each.

        What is not there yet is numbered in the order in which it will be queued.
        """
        new = sorted(target for target in targets if (kind, target) not in self._ids)
        for start in range(0, len(new), _BATCH):
            some = new[start : start + _BATCH]
            known = dict(
                Review.objects.filter(kind=kind, target__in=some).values_list("target", "pk")
            )
            for target in some:
                self._ids[kind, target] = known.get(target) or next(self._new_ids)

    def _tidy(self) -> None:
        while self._queue:
            first = self._queue[0]
            if self._waiting.get((first.kind, first.target)) is first:
                return
            heapq.heappop(self._queue)

    def _is_due(self) -> bool:
        self._tidy()
        return bool(self._queue) and self._queue[0].due_at <= self._started

    def _pop(self) -> _Candidate:
        self._tidy()
        candidate = heapq.heappop(self._queue)
        del self._waiting[candidate.kind, candidate.target]
        self._tidy()
        return candidate

    def _verdict(self, candidate: _Candidate) -> Callable[[], None] | None:
        """What is to be done with it: nothing where it lives, None where it is put off."""
        judge = {
            Review.Kind.MANIFEST: self._judge_manifest,
            Review.Kind.LINK: self._judge_link,
            Review.Kind.BLOB: self._judge_blob,
            Review.Kind.REPOSITORY: self._judge_repository,
        }[Review.Kind(candidate.kind)]
        try:
            return judge(candidate)
        except _Live:
            return _nothing
        except _Postpone as held:
            # Of what waits already only the reviews that are due now are forecast.
            if held.until <= self._started or self._now > self._started:
                self._push(candidate.kind, candidate.target, candidate.reason, held.until)
            return None

    def _end(self, candidate: _Candidate) -> None:
        """Its row is deleted: should it be queued again, that is a new one."""
        key = (candidate.kind, candidate.target)
        if key not in self._waiting:
            self._ids[key] = next(self._new_ids)

    # The judges: see `services.judging` and `services.purging`.

    def _judge_manifest(self, candidate: _Candidate) -> Callable[[], None]:
        if candidate.target in self._manifests:
            raise _Live
        manifest = Manifest.objects.defer("payload").filter(pk=candidate.target).first()
        if manifest is None:
            raise _Live
        repository = Repository.objects.get(pk=manifest.repository_id)
        if repository.closed_at is not None:
            raise _Live
        self._require_unheld(manifest, repository)
        return partial(self._remove_manifest, manifest, repository, candidate)

    def _require_unheld(self, manifest: Manifest, repository: Repository) -> None:
        opened = holding.open_tags(manifest.pk)
        if set(opened.values_list("pk", flat=True)) - set(self._ended_tags):
            raise _Live
        if manifest.deleted_at is None:
            if not repository.collect_untagged:
                raise _Live
            parents = holding.listings(repository.pk, manifest.digest).exclude(
                parent_id=manifest.pk
            )
            if set(parents.values_list("parent_id", flat=True)) - self._manifests:
                raise _Live
            subjects = holding.subjects(repository.pk, manifest.subject_digest).exclude(
                pk=manifest.pk
            )
            if set(subjects.values_list("pk", flat=True)) - self._manifests:
                raise _Live
        ended = [at for pk, at in self._ended_tags.values() if pk == manifest.pk]
        until = max([judging.kept_until(manifest), *(at + reviews.window() for at in ended)])
        if until > self._now:
            raise _Postpone(until)

    def _remove_manifest(
        self, manifest: Manifest, repository: Repository, candidate: _Candidate
    ) -> None:
        self._note("manifest", manifest.digest, repository.name, manifest.size, candidate)
        left = holding.dependents([(manifest.pk, repository.pk, manifest.digest)])
        for kind, targets, reason in (
            (Review.Kind.LINK, left.links - self._links, "manifest removed"),
            (Review.Kind.MANIFEST, left.manifests - self._manifests, "index or subject removed"),
        ):
            self._learn_ids(kind, targets)
            for target in sorted(targets):
                self._queue_anew(kind, target, reason)
        for tag in tags.signatures_of([(repository.pk, manifest.digest)]):
            if tag.manifest_id is not None and tag.pk not in self._ended_tags:
                self._ended_tags[tag.pk] = (tag.manifest_id, self._now)
                self._queue_anew(Review.Kind.MANIFEST, tag.manifest_id, "signed image removed")

    def _queue_anew(self, kind: str, target: int, reason: str) -> None:
        self._push(kind, target, reason, self._now + reviews.grace())

    def _judge_link(self, candidate: _Candidate) -> Callable[[], None]:
        link = RepositoryBlob.objects.select_related("blob").filter(pk=candidate.target).first()
        if link is None or link.pk in self._links:
            raise _Live
        repository = Repository.objects.get(pk=link.repository_id)
        if repository.closed_at is not None:
            raise _Live
        if set(holding.naming(repository.pk, link.blob.digest, link.pk)) - self._manifests:
            raise _Live
        self._links.add(link.pk)
        return partial(self._drop_blob_without_rights, link.blob_id, repository.name, candidate)

    def _judge_blob(self, candidate: _Candidate) -> Callable[[], None]:
        return partial(self._drop_blob_without_rights, candidate.target, "", candidate)

    def _drop_blob_without_rights(
        self, blob_id: int, repository: str, candidate: _Candidate
    ) -> None:
        rights = RepositoryBlob.objects.filter(blob_id=blob_id)
        if blob_id in self._blobs or set(rights.values_list("pk", flat=True)) - self._links:
            return
        blob = Blob.objects.filter(pk=blob_id).first()
        if blob is None:
            return
        self._blobs.add(blob_id)
        freed = storage.current().size(blob.digest) or 0
        if self._now > self._started:
            self._found.bytes_later += freed
        else:
            self._found.bytes += freed
        self._note("blob", blob.digest, repository, blob.size, candidate)

    def _judge_repository(self, candidate: _Candidate) -> Callable[[], None]:
        """One batch, as the collector takes it: a step counts as a review."""
        repository = Repository.objects.filter(pk=candidate.target).first()
        if repository is None or repository.closed_at is None:
            raise _Live
        until = repository.closed_at + reviews.window()
        if until > self._now:
            raise _Postpone(until)
        if self._purge_manifests(repository, candidate) or self._purge_rights(
            repository, candidate
        ):
            raise _Postpone(self._now)
        return _nothing

    def _purge_manifests(self, repository: Repository, candidate: _Candidate) -> bool:
        # Of a closed repository nothing else goes, so a cursor says what has gone.
        left = Manifest.objects.filter(
            repository_id=repository.pk, digest__gt=self._purged_to.get(repository.pk, "")
        )
        batch = list(left.order_by("digest").only("pk", "digest", "size")[: purging.PURGE_BATCH])
        for manifest in batch:
            self._manifests.add(manifest.pk)
            self._purged_to[repository.pk] = manifest.digest
            self._note("manifest", manifest.digest, repository.name, manifest.size, candidate)
        return bool(batch)

    def _purge_rights(self, repository: Repository, candidate: _Candidate) -> bool:
        left = RepositoryBlob.objects.filter(
            repository_id=repository.pk, pk__gt=self._rights_to.get(repository.pk, 0)
        )
        batch = list(left.order_by("pk")[: purging.PURGE_BATCH])
        self._links.update(link.pk for link in batch)
        for link in batch:
            self._rights_to[repository.pk] = link.pk
            self._drop_blob_without_rights(link.blob_id, repository.name, candidate)
        return bool(batch)

    def _note(
        self, kind: str, digest: str, repository: str, size: int, candidate: _Candidate
    ) -> None:
        item = Item(kind, digest, repository, size, candidate.reason, self._now)
        is_later = self._now > self._started
        if is_later:
            self._found.removed_later += 1
        else:
            self._found.removed += 1
        items = self._found.later if is_later else self._found.items
        if len(items) < MOST_ITEMS:
            items.append(item)
