"""Online garbage collection: reviewing what has lost a reference, and removing what nobody holds.

Each candidate is looked at again inside the transaction that removes it, with its repository held.
Rows go first. Bytes go after the commit, under a tombstone: the transaction that removes a blob's
row writes it, and whoever unlinks the bytes holds it while doing so. A commit of the same digest
clears the tombstone in its own transaction before it moves its bytes into place, so it either
finds the old bytes gone or makes the unlinking a no-op. `docs/garbage-collection.md` draws it.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field

from django.db import Error as DatabaseFailure
from django.db import IntegrityError, connections
from django.db.models import Max
from django.utils import timezone

from registry import crash_points
from registry.models import (
    Blob,
    Manifest,
    ManifestBlob,
    ManifestChild,
    Receipt,
    Repository,
    RepositoryBlob,
    Review,
    Tag,
    Tombstone,
    UploadSession,
)
from registry.services import database, leases, reviews, tags
from registry.storage import base as storage

log = logging.getLogger("registry.garbage")

PURGE_BATCH = 200
"""Rows of one kind that one step of purging a closed repository removes."""

_CONFLICT_DELAY = dt.timedelta(minutes=5)
_BUSY_DELAY = dt.timedelta(seconds=1)
_STALE_TOMBSTONE = dt.timedelta(minutes=10)


@dataclass
class Run:
    """What one call has done. `bytes` counts what was really freed in the store."""

    id: uuid.UUID = field(default_factory=uuid.uuid4)
    reviewed: int = 0
    removed: int = 0
    postponed: int = 0
    kept: int = 0
    bytes: int = 0


class _Postpone(Exception):
    """The candidate is held until `until`."""

    def __init__(self, until: dt.datetime) -> None:
        super().__init__(until)
        self.until = until


class _Live(Exception):
    """Something refers to the candidate; whoever drops that reference queues it again."""


class _Unfinished(Exception):
    """A step was done and the candidate is to be looked at again at once."""


def review(limit: int) -> Run:
    """Review up to `limit` candidates that are due, each in a transaction of its own.

    May run in several processes at once, be killed at any moment, and run twice. Does nothing
    while a lease pauses collection.
    """
    run = Run()
    if leases.current() is not None:
        return run
    sweep_tombstones(run, older_than=_STALE_TOMBSTONE)
    while run.reviewed < limit and _review_next(run):
        pass
    return run


def _review_next(run: Run) -> bool:
    """Review the candidate that is due longest; whether there was one."""
    doomed: list[str] = []
    candidate: Review | None = None
    try:
        with database.atomic():
            candidate = None if leases.is_paused() else _take()
            if candidate is None:
                return False
            run.reviewed += 1
            _decide(candidate, run, doomed)
    except IntegrityError:
        log.info("a review met a push and waits: %s", candidate)
        _postpone(candidate, timezone.now() + _CONFLICT_DELAY)
        run.postponed += 1
        return True
    except Exception as error:
        if candidate is None or isinstance(error, DatabaseFailure):
            raise
        # One that can't be judged must not keep the others from their turn.
        log.exception("review %s failed %s times", candidate, candidate.attempts + 1)
        _postpone(candidate, timezone.now() + _CONFLICT_DELAY * 2 ** min(candidate.attempts, 8))
        run.postponed += 1
        return True
    for digest in doomed:
        crash_points.reached("gc_rows_deleted")
        _unlink(digest, run)
    return True


def _take() -> Review | None:
    """The next candidate, held; other workers pass it over."""
    due = Review.objects.filter(due_at__lte=timezone.now()).order_by("due_at", "id")
    if connections[database.ALIAS].vendor == "postgresql":
        due = due.select_for_update(skip_locked=True)
    return due.first()


def _decide(candidate: Review, run: Run, doomed: list[str]) -> None:
    judge = _JUDGES[Review.Kind(candidate.kind)]
    try:
        judge(candidate, run, doomed)
    except _Postpone as held:
        _postpone(candidate, held.until)
        run.postponed += 1
    except _Unfinished:
        _postpone(candidate, timezone.now())
    except _Live:
        Review.objects.filter(pk=candidate.pk).delete()
        run.kept += 1
    else:
        Review.objects.filter(pk=candidate.pk).delete()


def _postpone(candidate: Review | None, until: dt.datetime) -> None:
    if candidate is not None:
        Review.objects.filter(pk=candidate.pk).update(due_at=until, attempts=candidate.attempts + 1)


def _hold(repository_id: int) -> Repository | None:
    """The repository, held. Raises `_Postpone` where somebody else holds it.

    Pushes hold their repository and then change its reviews; here the review is held already. So
    the collector never waits for a repository, or the two could wait for each other.
    """
    lock = database.row_lock()
    row = database.one(
        "SELECT id FROM registry_repository WHERE id = %s"
        + (f"{lock} SKIP LOCKED" if lock else ""),
        [repository_id],
    )
    found = Repository.objects.filter(pk=repository_id).first()
    if found is not None and row is None:
        raise _Postpone(timezone.now() + _BUSY_DELAY)
    return found


def _judge_manifest(candidate: Review, run: Run, doomed: list[str]) -> None:
    found = Manifest.objects.defer("payload").filter(pk=candidate.target).first()
    if found is None:
        raise _Live
    repository = _hold(found.repository_id)
    if repository is None or repository.closed_at is not None:
        raise _Live  # The review of the repository takes everything.
    found = Manifest.objects.defer("payload").filter(pk=candidate.target).first()
    if found is None:
        raise _Live
    last_referrer = _require_unheld(found, repository)
    _remove_manifest(found, repository, candidate, run, last_referrer)


def _require_unheld(manifest: Manifest, repository: Repository) -> str:
    """Raises `_Live` or `_Postpone` where anything holds `manifest`; else its last tag."""
    if Tag.objects.filter(manifest_id=manifest.pk, ended_at=None).exists():
        raise _Live
    if manifest.deleted_at is None:
        if not repository.collect_untagged:
            raise _Live
        indexes = ManifestChild.objects.filter(
            repository_id=repository.pk, digest=manifest.digest
        ).exclude(parent_id=manifest.pk)
        if indexes.exists():
            raise _Live
        if manifest.subject_digest and (
            Manifest.objects.filter(repository_id=repository.pk, digest=manifest.subject_digest)
            .exclude(pk=manifest.pk)
            .exists()
        ):
            raise _Live
    held_until = kept_until(manifest)
    if held_until > timezone.now():
        raise _Postpone(held_until)
    past = Tag.objects.filter(manifest_id=manifest.pk).order_by("-ended_at").first()
    return past.name if past else ""


def kept_until(manifest: Manifest) -> dt.datetime:
    """When the window of a manifest's deletion, of its last tag and of its own age is over."""
    untagged_at = Tag.objects.filter(manifest_id=manifest.pk).aggregate(Max("ended_at"))
    moments = [manifest.deleted_at or manifest.pushed_at, untagged_at["ended_at__max"]]
    last: dt.datetime = max(moment for moment in moments if moment is not None)
    return last + reviews.window()


def _remove_manifest(
    manifest: Manifest, repository: Repository, candidate: Review, run: Run, last_referrer: str
) -> None:
    """Remove the row of a manifest; what it referred to is reviewed next."""
    links = list(
        ManifestBlob.objects.filter(manifest_id=manifest.pk).values_list("link_id", flat=True)
    )
    children = list(
        ManifestChild.objects.filter(parent_id=manifest.pk).values_list("digest", flat=True)
    )
    ManifestBlob.objects.filter(manifest_id=manifest.pk).delete()
    ManifestChild.objects.filter(parent_id=manifest.pk).delete()
    Tag.objects.filter(manifest_id=manifest.pk).update(manifest_id=None)
    Manifest.objects.filter(pk=manifest.pk).delete()
    # A HEAD may have promised one of them a moment ago, while the manifest still held it.
    reviews.queue(Review.Kind.LINK, links, "manifest removed")
    referred = Manifest.objects.filter(repository_id=repository.pk)
    dependents = [
        *referred.filter(digest__in=children).values_list("pk", flat=True),
        *referred.filter(subject_digest=manifest.digest).values_list("pk", flat=True),
    ]
    reviews.queue(Review.Kind.MANIFEST, dependents, "index or subject removed")
    tags.end_signatures(repository, manifest.digest)
    _receipt("manifest", manifest.digest, repository, manifest.size, candidate, run, last_referrer)


def _judge_link(candidate: Review, run: Run, doomed: list[str]) -> None:
    link = RepositoryBlob.objects.filter(pk=candidate.target).first()
    if link is None:
        raise _Live
    repository = _hold(link.repository_id)
    if repository is None or repository.closed_at is not None:
        raise _Live
    # A promise may have moved the date between the choice of the candidate and the lock.
    current = Review.objects.get(pk=candidate.pk)
    if current.due_at > timezone.now():
        raise _Postpone(current.due_at)
    if ManifestBlob.objects.filter(link_id=link.pk).exists():
        raise _Live
    RepositoryBlob.objects.filter(pk=link.pk).delete()
    _drop_blob_without_rights(link.blob_id, repository, candidate, run, doomed)


def _judge_blob(candidate: Review, run: Run, doomed: list[str]) -> None:
    _drop_blob_without_rights(candidate.target, None, candidate, run, doomed)


def _drop_blob_without_rights(
    blob_id: int,
    repository: Repository | None,
    candidate: Review,
    run: Run,
    doomed: list[str],
) -> None:
    """Remove the row of a blob that no repository may serve any more, and doom its bytes."""
    held = database.one(
        "SELECT id FROM registry_blob WHERE id = %s" + database.row_lock(), [blob_id]
    )
    if held is None or RepositoryBlob.objects.filter(blob_id=blob_id).exists():
        return
    blob = Blob.objects.get(pk=blob_id)
    Blob.objects.filter(pk=blob_id).delete()
    Tombstone.objects.bulk_create([Tombstone(digest=blob.digest)], ignore_conflicts=True)
    reviews.drop(Review.Kind.BLOB, [blob_id] if candidate.target != blob_id else [])
    _receipt("blob", blob.digest, repository, blob.size, candidate, run)
    doomed.append(blob.digest)


def _judge_repository(candidate: Review, run: Run, doomed: list[str]) -> None:
    """One step of purging a closed repository: a batch of tags, manifests, rights, then it.

    Tags first: a hundred thousand of them may point at one manifest, and a step stays bounded.
    """
    repository = _hold(candidate.target)
    if repository is None or repository.closed_at is None:
        raise _Live
    until = repository.closed_at + reviews.window()
    if until > timezone.now():
        raise _Postpone(until)
    if (
        _purge_tags(repository)
        or _purge_manifests(repository, candidate, run)
        or _purge_rights(repository, candidate, run, doomed)
        or _purge_uploads(repository)
    ):
        raise _Unfinished
    Repository.objects.filter(pk=repository.pk).delete()


def _purge_manifests(repository: Repository, candidate: Review, run: Run) -> bool:
    batch = list(
        Manifest.objects.filter(repository_id=repository.pk)
        .order_by("digest")
        .only("pk", "digest", "size", "repository_id")[:PURGE_BATCH]
    )
    ids = [manifest.pk for manifest in batch]
    ManifestBlob.objects.filter(manifest_id__in=ids).delete()
    ManifestChild.objects.filter(parent_id__in=ids).delete()
    Manifest.objects.filter(pk__in=ids).delete()
    reviews.drop(Review.Kind.MANIFEST, ids)
    for manifest in batch:
        _receipt("manifest", manifest.digest, repository, manifest.size, candidate, run)
    return bool(batch)


def _purge_rights(repository: Repository, candidate: Review, run: Run, doomed: list[str]) -> bool:
    batch = list(RepositoryBlob.objects.filter(repository_id=repository.pk)[:PURGE_BATCH])
    ids = [link.pk for link in batch]
    RepositoryBlob.objects.filter(pk__in=ids).delete()
    reviews.drop(Review.Kind.LINK, ids)
    # In order of id, so that two purges that share blobs never wait for each other in a ring.
    for link in sorted(batch, key=lambda link: link.blob_id):
        _drop_blob_without_rights(link.blob_id, repository, candidate, run, doomed)
    return bool(batch)


def _purge_tags(repository: Repository) -> bool:
    tags = Tag.objects.filter(repository_id=repository.pk)
    ids = list(tags.values_list("pk", flat=True)[: PURGE_BATCH * 5])
    # By id and in pieces that every engine takes as parameters.
    for start in range(0, len(ids), PURGE_BATCH):
        Tag.objects.filter(pk__in=ids[start : start + PURGE_BATCH]).delete()
    return bool(ids)


def _purge_uploads(repository: Repository) -> bool:
    ids = list(
        UploadSession.objects.filter(repository_id=repository.pk).values_list("pk", flat=True)[
            :PURGE_BATCH
        ]
    )
    UploadSession.objects.filter(pk__in=ids).delete()
    for session_id in ids:
        storage.current().discard(session_id)
    return bool(ids)


def _receipt(
    kind: str,
    digest: str,
    repository: Repository | None,
    size: int,
    candidate: Review,
    run: Run,
    last_referrer: str = "",
) -> None:
    Receipt.objects.create(
        kind=kind,
        digest=digest,
        repository=repository.name if repository else "",
        bytes=size,
        reason=candidate.reason,
        last_referrer=last_referrer,
        garbage_since=candidate.queued_at,
        run=run.id,
    )
    run.removed += 1


def _unlink(digest: str, run: Run) -> None:
    """Remove the bytes of a digest whose tombstone still stands, holding the tombstone."""
    store = storage.current()
    size = store.size(digest)
    with database.atomic():
        if not Tombstone.objects.filter(digest=digest).delete()[0]:
            return  # A commit of the same digest has cleared it: the bytes are its own now.
        if store.delete(digest):
            run.bytes += size or 0
        crash_points.reached("gc_bytes_unlinked")


def sweep_tombstones(run: Run, *, older_than: dt.timedelta) -> None:
    """Finish what a crash left between the commit and the unlinking."""
    stale = Tombstone.objects.filter(created_at__lt=timezone.now() - older_than)
    for digest in list(stale.values_list("digest", flat=True)[:1000]):
        _unlink(digest, run)


_JUDGES: dict[Review.Kind, Callable[[Review, Run, list[str]], None]] = {
    Review.Kind.MANIFEST: _judge_manifest,
    Review.Kind.LINK: _judge_link,
    Review.Kind.BLOB: _judge_blob,
    Review.Kind.REPOSITORY: _judge_repository,
}
