"""A cleanup from its plan to its receipt: the whole life of a `CleanupRun`, whose row is the job.

    request, open_due ──► planning ──► planned ── approve ──► approved ──► running ──► finished
                             └──────── without approval ─────────┘                        │
    cancel: until it is finished                             undo: undoing ──► undone ◄───┘

A worker owns a row by its lease (`gitlab.jobs.leases`), for a turn of `TURN` at most; then the row
goes to the end of the queue, so that a large project keeps no other waiting. Whoever takes over
from a worker that was killed does so at the batch that was not done. Each step may run twice.

Running executes the plan and nothing else. Each tag is asked for again when its turn comes: one
that points elsewhere, has been pulled since, or is protected by now is spared, and the plan says
so.

`by` is who does it. Refusals: `NotFound`, `Forbidden`, `Conflict`.
"""

from __future__ import annotations

import datetime as dt
import time
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from gitlab.audit.services import record
from gitlab.container_registry.cleanup import deletion, plan, restoring, services
from gitlab.container_registry.cleanup.choosing import Selection
from gitlab.container_registry.cleanup.models import ACTIVE, CleanupBatch, CleanupRun
from gitlab.container_registry.cleanup.protection import protects_in
from gitlab.container_registry.cleanup.requests import TASK, open_by_policy
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs import crash_points, enqueue
from gitlab.jobs.leases import LeaseLost, Leases, Outcome
from gitlab.namespaces import queries
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.models import Project, RegistryAccess
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Forbidden, NotFound

TURN = 60.0
"""Seconds that a run is worked at before others have their turn."""

AT_ONCE = 4
"""Runs that are worked at, over all workers."""

KEPT = dt.timedelta(days=90)
"""How long the receipts of runs are kept."""

_SWEPT_AT_ONCE = 50
_REMOVED_AT_ONCE = 20
_Status = CleanupRun.Status
_LEASES = Leases(CleanupRun.objects, active=ACTIVE)


def due() -> list[int]:
    """The runs whose turn it is, as many as may be worked at. The receipts of the oldest go."""
    now = timezone.now()
    old = CleanupRun.objects.filter(finished_at__lt=now - KEPT).exclude(status__in=ACTIVE)
    ids = list(old.order_by("finished_at").values_list("pk", flat=True)[:_REMOVED_AT_ONCE])
    CleanupRun.objects.filter(pk__in=ids).delete()
    room = AT_ONCE - _LEASES.held_count()
    return _LEASES.due("turn_at", room) if room > 0 else []


def take(pk: int) -> CleanupRun | None:
    """Make the run ours; None where it does not wait, or as many as may be are worked at."""
    if _LEASES.held_count() >= AT_ONCE:
        return None
    return _LEASES.take(pk, "project__namespace", "approved_by", "ended_by")


def run(pk: int, registry: Registry | None = None) -> Outcome:
    """Give a run its turn, if it waits for one."""
    row = take(pk)
    if row is None:
        return Outcome.NOT_OURS
    if queries.is_path_changing(row.project.full_path):
        return _give_back(row, "the path is being changed", counts=False)
    try:
        outcome = _step(row, registry or clients.for_jobs())
    except (Forbidden, NotFound) as error:
        outcome = _end(row, _Status.FAILED, failure_reason=f"not allowed: {error}"[:500])
    except LeaseLost:
        outcome = Outcome.NOT_OURS
    except RegistryUnavailable as error:
        outcome = _give_back(row, str(error))
    except RegistryRefused as error:
        outcome = _end(row, _Status.FAILED, failure_reason=f"{error.code}: {error}"[:500])
    if outcome is Outcome.MORE:
        enqueue.now(TASK, row.pk)
    return outcome


def _step(row: CleanupRun, registry: Registry) -> Outcome:
    """What the status says is next."""
    ends = time.monotonic() + TURN
    if row.status == _Status.PLANNING:
        return _plan(row, registry)
    if row.status == _Status.UNDOING:
        return _restore(row, registry, ends)
    return _execute(row, registry, ends)


def _require_project(row: CleanupRun, by: Person | None) -> None:
    """Raises `Forbidden`, `NotFound` where the project is no more one in which this may be done."""
    if by is not None:
        require_in_project(by, row.project, Ability.ADMIN_IMAGE)
    elif (
        row.project.is_pending_delete
        or row.project.archived
        or row.project.registry_access == RegistryAccess.DISABLED
    ):
        raise Forbidden("the project takes no changes")


def _plan(row: CleanupRun, registry: Registry) -> Outcome:
    _require_project(row, None)
    images = ContainerRepository.objects.filter(project=row.project, status=None).order_by("path")
    if row.selection is not None:
        images = images.filter(pk=Selection.read(row.selection).repository)
    made = plan.make(
        row,
        [_of(row.project, image) for image in images],
        registry,
        protects_in=protects_in(row.project),
        still_ours=lambda: _LEASES.renew(row),
    )
    crash_points.reached("cleanup_planned")
    now = timezone.now()
    columns: dict[str, Any] = {
        "planned_at": now,
        "seen_count": made.seen,
        "going_count": made.going,
        "freed_bytes": made.freed_bytes,
        "shared_bytes": made.shared_bytes,
        "is_exact": made.is_exact,
        "is_cut": made.is_cut,
        "watches_pulls": made.counts_pulls,
        "failures": 0,
        "failure_reason": "",
    }
    if not made.going:
        return _end(row, _Status.FINISHED, **columns)
    status = _Status.PLANNED if row.requires_approval else _Status.APPROVED
    if not _LEASES.release(row, status=status, turn_at=now, **columns):
        return Outcome.NOT_OURS
    return Outcome.DONE if row.requires_approval else Outcome.MORE


def _of(project: Project, image: ContainerRepository) -> ContainerRepository:
    image.project = project
    return image


def _execute(row: CleanupRun, registry: Registry, ends: float) -> Outcome:
    """Delete batch by batch, until the plan or the turn is over."""
    if row.requires_approval and row.approved_by is None:
        raise Forbidden("whoever approved it is not here any more")
    _require_project(row, row.approved_by)
    if row.status == _Status.APPROVED:
        row.started_at = timezone.now()
        if not _LEASES.renew(row, status=_Status.RUNNING, started_at=row.started_at):
            return Outcome.NOT_OURS
    while (batch := deletion.next_batch(row)) is not None:
        # One that was begun is brought to its end whatever else is asked: what was deleted is told.
        if batch.status == CleanupBatch.Status.WAITING:
            if _LEASES.ours(row).filter(cancel_asked=True).exists():
                return _end(row, _Status.CANCELLED)
            if time.monotonic() >= ends:
                return _yield(row)
        if not _LEASES.renew(row):
            return Outcome.NOT_OURS
        deletion.delete(row, batch, registry)
        if not _LEASES.renew(row, **deletion.counts_of(row), failures=0, failure_reason=""):
            return Outcome.NOT_OURS
        crash_points.reached("cleanup_counted")
    return _finish(row)


def _finish(row: CleanupRun) -> Outcome:
    """The plan is done. Where a policy's could not hold all that goes, the next follows at once."""
    outcome = _end(row, _Status.FINISHED, **deletion.counts_of(row))
    if outcome is Outcome.DONE and row.by_policy and row.is_cut and row.deleted_count:
        policy = services.effective_policies([row.project]).get(row.project_id)
        following = open_by_policy(row.project, policy) if policy and policy.enabled else None
        if following is not None:
            enqueue.now(TASK, following.pk)
    return outcome


def _restore(row: CleanupRun, registry: Registry, ends: float) -> Outcome:
    """Bring back batch by batch, until all is back or the turn is over."""
    if row.ended_by is None:
        raise Forbidden("whoever asked is not here any more")
    _require_project(row, row.ended_by)
    while (batch := restoring.next_batch(row)) is not None:
        if time.monotonic() >= ends:
            return _yield(row)
        if not _LEASES.renew(row):
            return Outcome.NOT_OURS
        restoring.restore(row, batch, registry)
        if not _LEASES.renew(
            row, restored_count=restoring.count_of(row), failures=0, failure_reason=""
        ):
            return Outcome.NOT_OURS
        crash_points.reached("cleanup_counted")
    return _end(row, _Status.UNDONE, undone_at=timezone.now())


def _yield(row: CleanupRun) -> Outcome:
    """To the end of the queue."""
    changed = _LEASES.release(row, turn_at=timezone.now())
    return Outcome.MORE if changed else Outcome.NOT_OURS


def _end(row: CleanupRun, status: _Status, **columns: Any) -> Outcome:
    ended = {"status": status, **columns}
    if status != _Status.UNDONE:
        ended["finished_at"] = timezone.now()
    with transaction.atomic():
        if not _LEASES.release(row, **ended):
            return Outcome.NOT_OURS
        row.refresh_from_db()
        record(
            f"cleanup.{status.value}",
            by=None,
            target=row.project,
            run=row.pk,
            deleted=row.deleted_count,
            spared=row.spared_count,
            restored=row.restored_count,
            reason=row.failure_reason,
        )
    return Outcome.FAILED if status == _Status.FAILED else Outcome.DONE


def _give_back(row: CleanupRun, reason: str, *, counts: bool = True) -> Outcome:
    fail = partial(_end, row, _Status.FAILED)
    return _LEASES.give_back(row, reason, fail, counts=counts, turn_at=timezone.now())
