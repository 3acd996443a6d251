"""Online garbage collection: reviewing what has lost a reference, and removing what nobody holds.

Candidates are judged in batches of one repository, inside the transaction that removes them and with
the repository held. Should anything of a batch fail, its candidates are judged one by one, so that
one which can't be judged keeps no other from its turn. Rows go first, and bytes after the commit: see
`unlinking`. `docs/garbage-collection.md` draws it.
"""

from __future__ import annotations

import datetime as dt
import logging
import time
from collections.abc import Callable, Sequence

from django.db import Error as DatabaseFailure
from django.db import IntegrityError, connections
from django.utils import timezone

from registry import crash_points
from registry.models import Receipt, Repository, Review
from registry.services import database, judging, leases, purging, unlinking
from registry.services.batches import Batch, Run, divide

log = logging.getLogger("registry.garbage")

_CONFLICT_DELAY = dt.timedelta(minutes=5)
_BUSY_DELAY = dt.timedelta(seconds=1)
_STALE_TOMBSTONE = dt.timedelta(minutes=10)


def review(limit: int) -> Run:
    """Review up to `limit` candidates that are due.

    May run in several processes at once, be killed at any moment, and run twice. Does nothing
    while a lease pauses collection.
    """
    run = Run()
    if leases.current() is not None:
        return run
    run.bytes += unlinking.sweep_tombstones(older_than=_STALE_TOMBSTONE)
    while run.reviewed < limit:
        before = run.reviewed
        for kind, repository_id, ids in divide(_due(limit - run.reviewed)):
            _review(kind, repository_id, ids, run)
        if run.reviewed == before:
            break
    return run


def _due(limit: int) -> list[tuple[int, str, int]]:
    """Id, kind and target of those that are due longest. They are asked again when they are held."""
    due = Review.objects.filter(due_at__lte=timezone.now()).order_by("due_at", "id")
    return list(due.values_list("pk", "kind", "target")[:limit])


def _review(kind: Review.Kind, repository_id: int | None, ids: Sequence[int], run: Run) -> None:
    """Review candidates of one group together, or where that fails one by one."""
    started = time.monotonic()
    try:
        batch = _review_together(kind, repository_id, ids, run)
    except Exception as error:
        if isinstance(error, DatabaseFailure) and not isinstance(error, IntegrityError):
            raise
        if len(ids) > 1:
            for pk in ids:
                _review(kind, repository_id, [pk], run)
        else:
            _postpone(ids[0], run, error)
        return
    database.let_others_write(time.monotonic() - started)
    batch.count(run)
    if batch.doomed:
        crash_points.reached("gc_rows_deleted")
        run.bytes += unlinking.unlink(batch.doomed)


def _review_together(
    kind: Review.Kind, repository_id: int | None, ids: Sequence[int], run: Run
) -> Batch:
    with database.atomic():
        if leases.is_paused():
            return Batch(run.id, [])
        repository, is_busy = _hold(repository_id)
        batch = Batch(run.id, _take(ids))
        if not batch.candidates:
            return batch
        if is_busy:
            for candidate in batch.candidates:
                batch.postpone(candidate, timezone.now() + _BUSY_DELAY)
            batch.settle()
        elif _has_gone(kind, repository):
            for candidate in batch.candidates:
                batch.keep(candidate)
            batch.settle()
        else:
            _JUDGES[kind](repository, batch)
            Receipt.objects.bulk_create(batch.receipts)
    return batch


def _has_gone(kind: Review.Kind, repository: Repository | None) -> bool:
    """Whether its repository has gone, or is closed: then the repository's review takes it."""
    if kind not in (Review.Kind.MANIFEST, Review.Kind.LINK):
        return False
    return repository is None or repository.closed_at is not None


def _hold(repository_id: int | None) -> tuple[Repository | None, bool]:
    """The repository, held; and whether somebody else holds it.

    The collector never waits for a repository, nor for a candidate, or it and a push that has the
    one and wants the other could wait for each other.
    """
    if repository_id is None:
        return None, False
    lock = database.row_lock()
    row = database.one(
        "SELECT id FROM registry_repository WHERE id = %s"
        + (f"{lock} SKIP LOCKED" if lock else ""),
        [repository_id],
    )
    found = Repository.objects.filter(pk=repository_id).first()
    return found, found is not None and row is None


def _take(ids: Sequence[int]) -> list[Review]:
    """Those of the candidates that are still due, held; other workers' are passed over."""
    due = Review.objects.filter(pk__in=ids, due_at__lte=timezone.now()).order_by("due_at", "id")
    if connections[database.ALIAS].vendor == "postgresql":
        due = due.select_for_update(skip_locked=True)
    return list(due)


def _postpone(pk: int, run: Run, error: Exception) -> None:
    """Look again later at a candidate that could not be judged."""
    candidate = Review.objects.filter(pk=pk).first()
    run.reviewed += 1
    if candidate is None:
        return
    wait = _CONFLICT_DELAY
    if isinstance(error, IntegrityError):
        log.info("a review met a push and waits: %s", candidate)
    else:
        times = candidate.attempts + 1
        log.error("review %s failed %s times", candidate, times, exc_info=error)
        wait *= 2 ** min(candidate.attempts, 8)
    Review.objects.filter(pk=pk).update(
        due_at=timezone.now() + wait, attempts=candidate.attempts + 1
    )
    run.postponed += 1


_JUDGES: dict[Review.Kind, Callable[[Repository | None, Batch], None]] = {
    Review.Kind.MANIFEST: judging.judge_manifests,
    Review.Kind.LINK: judging.judge_links,
    Review.Kind.BLOB: judging.judge_blobs,
    Review.Kind.REPOSITORY: purging.judge_repository,
}
