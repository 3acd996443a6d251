"""Online garbage collection: reviewing what has lost a reference, and removing what nobody holds.

Candidates are judged in batches, inside the transaction that removes them and with their
repositories held. Should anything of a batch fail, its candidates are judged one by one, so that
one which can't be judged keeps no other from its turn. Rows go first, and bytes after the commit:
see `unlinking`. `docs/garbage-collection.md` draws it.
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
from registry.models import Repository, Review
from registry.services import database
from registry.services.garbage import judging, leases, purging, unlinking
from registry.services.garbage.batches import Batch, Division, Run, divide

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
        for division in divide(_due(limit - run.reviewed)):
            for piece in division.pieces(lambda: run.size):
                _review(piece, run)
        if run.reviewed == before:
            break
    return run


def _due(limit: int) -> list[tuple[int, str, int]]:
    """Id, kind and target of those due longest. They are asked again when they are held."""
    due = Review.objects.filter(due_at__lte=timezone.now()).order_by("due_at", "id")
    return list(due.values_list("pk", "kind", "target")[:limit])


def _review(division: Division[int], run: Run) -> None:
    """Review candidates together, or where that fails one by one."""
    try:
        batch, held = _review_together(division, run)
    except Exception as error:
        if isinstance(error, DatabaseFailure) and not isinstance(error, IntegrityError):
            raise
        if len(division.repository_ids) > 1:
            for pk, repository_id in division.repository_ids.items():
                _review(Division(division.kind, {pk: repository_id}), run)
        else:
            _postpone(next(iter(division.repository_ids)), run, error)
        return
    others_wait = database.let_others_write(held)
    run.pace(len(division.repository_ids), held, others_wait=others_wait)
    batch.count(run)
    if batch.doomed:
        crash_points.reached("gc_rows_deleted")
        run.bytes += unlinking.unlink(batch.doomed)


def _review_together(division: Division[int], run: Run) -> tuple[Batch, float]:
    """Judge those whose repositories nobody else holds, and put off the others. With for how many
    seconds others had to wait for it.

    The collector never waits for a repository, nor for a candidate, or it and a push that has the
    one and wants the other could wait for each other. So it holds no candidate of a repository that
    it does not hold.
    """
    with database.atomic():
        # Not before: until now it was this one that waited.
        started = time.monotonic()
        if leases.is_paused():
            return Batch(run.id, []), 0.0
        held, busy = _hold({pk for pk in division.repository_ids.values() if pk is not None})
        candidates = _take(
            [
                pk
                for pk, repository_id in division.repository_ids.items()
                if repository_id not in busy
            ]
        )
        batch = Batch(run.id, candidates, held)
        if candidates:
            _JUDGES[division.kind](batch)
            batch.write_receipts()
    seconds = time.monotonic() - started
    if busy:
        _put_off(
            [pk for pk, repository_id in division.repository_ids.items() if repository_id in busy],
            run,
        )
    return batch, seconds


def _hold(ids: set[int]) -> tuple[dict[int, Repository], set[int]]:
    """The repositories that are held now, by id, and the ids of those that somebody else holds."""
    if not ids:
        return {}, set()
    lock = database.row_lock()
    holes = ", ".join(["%s"] * len(ids))
    got = database.column(
        f"SELECT id FROM registry_repository WHERE id IN ({holes}) ORDER BY id"
        + (f"{lock} SKIP LOCKED" if lock else ""),
        sorted(ids),
    )
    found = Repository.objects.in_bulk(ids)
    return {pk: row for pk, row in found.items() if pk in got}, set(found) - set(got)


def _put_off(ids: list[int], run: Run) -> None:
    """Come back soon to candidates whose repository somebody else holds."""
    with database.atomic():
        batch = Batch(run.id, _take(ids))
        for candidate in batch.candidates:
            batch.postpone(candidate, timezone.now() + _BUSY_DELAY)
        batch.settle()
    batch.count(run)


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


_JUDGES: dict[Review.Kind, Callable[[Batch], None]] = {
    Review.Kind.MANIFEST: judging.judge_manifests,
    Review.Kind.LINK: judging.judge_links,
    Review.Kind.BLOB: judging.judge_blobs,
    Review.Kind.REPOSITORY: purging.judge_repository,
}
