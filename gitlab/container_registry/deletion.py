"""Deleting images. The row's status is the queue.

    delete_scheduled ──take()──► delete_ongoing ──batches, until nothing is left──► no row, or at
          ▲                           │                          rest where it was pushed anew
          └── unavailable: count, ────┤
              next_attempt_at         └── refused, or five times unavailable ──► delete_failed

A worker owns a row by its lease, and renews it with each batch. One that was killed stops renewing,
and after `STALE` another takes over; whoever finds its lease gone lets go at once. Each step may
run twice: a batch deletes what is there, and what is gone counts as deleted.
"""

from __future__ import annotations

import datetime as dt
import logging
import random
import uuid
from enum import Enum

from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from gitlab.audit.services import record
from gitlab.container_registry import repositories, undo
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.berth import RegistryClient
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs import crash_points
from gitlab.namespaces import queries
from gitlab.namespaces import services as namespaces
from gitlab.namespaces.models import Project

log = logging.getLogger(__name__)

BATCH = 100
MAX_FAILURES = 5
STALE = dt.timedelta(minutes=5)
"""Longer than one batch may take with all its attempts, so that nobody is robbed while at work."""

WHILE_RENAMED = dt.timedelta(seconds=5)
FIRST_DELAY = dt.timedelta(seconds=15)
_SWEPT_AT_ONCE = 50
_Status = ContainerRepository.Status


class Outcome(Enum):
    """What came of one attempt."""

    DONE = "done"
    NOT_OURS = "nothing to do, or somebody else is at it"
    LATER = "failed, to be tried again"
    FAILED = "failed for good"


def _takeable(now: dt.datetime) -> Q:
    waiting = Q(status=_Status.DELETE_SCHEDULED) & (
        Q(next_attempt_at__isnull=True) | Q(next_attempt_at__lte=now)
    )
    return waiting | Q(status=_Status.DELETE_ONGOING, lease_renewed_at__lt=now - STALE)


def take(pk: int) -> ContainerRepository | None:
    """Make the row ours by one conditional update, so that two workers never both have it.

    Answers None where it does not wait for deletion, or another worker was faster.
    """
    now, lease = timezone.now(), uuid.uuid4()
    taken = ContainerRepository.objects.filter(_takeable(now), pk=pk).update(
        status=_Status.DELETE_ONGOING,
        status_changed_at=now,
        started_at=now,
        lease=lease,
        lease_renewed_at=now,
    )
    if not taken:
        return None
    return ContainerRepository.objects.filter(pk=pk, lease=lease).first()


def delete_repository(pk: int, registry: RegistryClient | None = None) -> Outcome:
    """Delete an image with everything in it, if it waits for that."""
    row = take(pk)
    if row is None:
        return Outcome.NOT_OURS
    if queries.is_path_changing(row.path):
        return _wait(row)
    # A change of the path that has just been finished has moved the row too.
    row.refresh_from_db(fields=["path"])
    registry = registry or clients.for_jobs()
    try:
        undo.remember(row, registry)
        while registry.delete_batch(row.path, BATCH, project=row.project_id):
            if not _renew(row):
                return Outcome.NOT_OURS
        crash_points.reached("image_deleted")
        return _finish(row, registry)
    except RegistryUnavailable as error:
        return _give_back(row, str(error), for_good=False)
    except RegistryRefused as error:
        return _give_back(row, f"{error.code}: {error}", for_good=True)


def _wait(row: ContainerRepository) -> Outcome:
    """Back into the queue, for the moment that a change of the path takes. No failure."""
    now = timezone.now()
    ContainerRepository.objects.filter(pk=row.pk, lease=row.lease).update(
        status=_Status.DELETE_SCHEDULED,
        status_changed_at=now,
        next_attempt_at=now + WHILE_RENAMED,
        lease=None,
        lease_renewed_at=None,
    )
    return Outcome.LATER


def _renew(row: ContainerRepository) -> bool:
    """Whether the row is still ours."""
    ours = ContainerRepository.objects.filter(pk=row.pk, lease=row.lease)
    return bool(ours.update(lease_renewed_at=timezone.now()))


def _give_back(row: ContainerRepository, reason: str, *, for_good: bool) -> Outcome:
    count = row.failed_deletion_count + 1
    for_good = for_good or count >= MAX_FAILURES
    now = timezone.now()
    delay = FIRST_DELAY * 3 ** (count - 1) * random.uniform(0.8, 1.2)  # noqa: S311
    ours = ContainerRepository.objects.filter(pk=row.pk, lease=row.lease)
    with transaction.atomic():
        changed = ours.update(
            status=_Status.DELETE_FAILED if for_good else _Status.DELETE_SCHEDULED,
            status_changed_at=now,
            failed_deletion_count=count,
            failure_reason=reason[:500],
            next_attempt_at=None if for_good else now + delay,
            lease=None,
            lease_renewed_at=None,
        )
        if changed and for_good:
            record("container_repository.delete_failed", by=None, target=row, reason=reason[:500])
    if not changed:
        return Outcome.NOT_OURS
    return Outcome.FAILED if for_good else Outcome.LATER


def _finish(row: ContainerRepository, registry: RegistryClient) -> Outcome:
    """The row goes, and with the last one a project that waits for its deletion.

    Unless the image has been pushed anew meanwhile, with a token from before the deletion was asked
    for: then the row rests. A push that is told of while we look makes us look again.
    """
    ours = ContainerRepository.objects.filter(pk=row.pk, lease=row.lease)
    while (seen := ours.values_list("last_published_at").first()) is not None:
        details = registry.repository(row.path, size=False)
        if details is not None and details.tags_count:
            return _rest(row)
        with transaction.atomic():
            gone, _ = ours.filter(last_published_at=seen[0]).delete()
            if gone:
                record("container_repository.delete", by=row.deleted_by, target=row)
        if gone:
            finish_projects(registry)
            return Outcome.DONE
    return Outcome.NOT_OURS


def _rest(row: ContainerRepository) -> Outcome:
    """What was to be deleted is deleted; the row is that of what was pushed since."""
    ours = ContainerRepository.objects.filter(pk=row.pk, lease=row.lease)
    with transaction.atomic():
        changed = ours.update(
            status=None,
            status_changed_at=timezone.now(),
            failed_deletion_count=0,
            failure_reason="",
            next_attempt_at=None,
            lease=None,
            lease_renewed_at=None,
            deleted_by=None,
            # The registry's row is another one, which was told nothing yet.
            keeps_untagged=False,
        )
        if changed:
            record("container_repository.delete", by=row.deleted_by, target=row, pushed_again=True)
    return Outcome.DONE if changed else Outcome.NOT_OURS


def finish_projects(registry: RegistryClient | None = None) -> int:
    """Remove the rows of deleted projects without images, and of groups; how many went.

    First the registry is told that a project's path is given up: what somebody has pushed meanwhile
    with an older token goes, and nothing is left for the path's next owner. A project whose end the
    registry can't be told stays until the next sweep.
    """

    def leave(project: Project) -> bool:
        try:
            (registry or clients.for_jobs()).give_up(project.full_path, project.pk)
        except (RegistryUnavailable, RegistryRefused) as error:
            log.warning("%s stays for now: %s", project.full_path, error)
            return False
        return True

    return namespaces.finish_deletions(leave if settings.CONTAINER_REGISTRY_ENABLED else None)


def due(registry: RegistryClient | None = None) -> list[int]:
    """The images whose turn it is, after the bookkeeping that no bell rings for.

    Images of deleted projects are queued, and projects without any left are finished.
    """
    repositories.schedule_those_of_deleted_projects()
    finish_projects(registry)
    rows = ContainerRepository.objects.filter(_takeable(timezone.now()))
    return list(rows.order_by("status_changed_at").values_list("pk", flat=True)[:_SWEPT_AT_ONCE])
