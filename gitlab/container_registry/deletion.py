"""Deleting an image: the whole life of `ContainerRepository.status`, which is the queue.

                  schedule                    take
    (at rest) ──────────────► scheduled ───────────────► ongoing ──batches──► _finish: no row, or
        ▲  ▲                   ▲  │  ▲                    │ │ │               _rest: pushed anew
        │  └──── take_back ────┼──┘  └── _wait: renamed ──┘ │ │
        │                      └───────── give_back ────────┘ │  unavailable: later
        │    retry             ┌─────────── _fail ────────────┘  refused, or five times unavailable
        └── take_back ──── failed ── retry ──► scheduled

A worker owns a row by its lease (`gitlab.jobs.leases`), and renews it with each batch. Each step
may run twice: a batch deletes what is there, and what is gone counts as deleted.

Whatever changes a status does so with `_to`. `by` is who does it. Refusals: `Forbidden`,
`Conflict`.
"""

from __future__ import annotations

import datetime as dt
import logging
from contextlib import suppress
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from gitlab.audit.services import record
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.models import ContainerRepository, DeletedImage
from gitlab.container_registry.protection import guard
from gitlab.jobs import crash_points, enqueue
from gitlab.jobs.leases import UNOWNED, Leases, Outcome
from gitlab.namespaces import queries
from gitlab.namespaces import services as namespaces
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.models import Project
from gitlab.namespaces.policies import Ability
from gitlab.principals import Actor, Person
from gitlab.refusals import Conflict, Forbidden

log = logging.getLogger(__name__)

TASK = "workers.tasks.delete_container_repository"
BATCH = 100
WHILE_RENAMED = dt.timedelta(seconds=5)
_SWEPT_AT_ONCE = 50
_LOOKED_AT_ONCE = 2000
_Status = ContainerRepository.Status
_Rows = QuerySet[ContainerRepository]

_LEASES = Leases(
    ContainerRepository.objects,
    active=(_Status.DELETE_SCHEDULED, _Status.DELETE_ONGOING),
    failures="failed_deletion_count",
)
_FRESH: dict[str, Any] = {
    "failed_deletion_count": 0,
    "failure_reason": "",
    "next_attempt_at": None,
}


def _to(status: _Status | None) -> dict[str, Any]:
    """The columns that give a row its status."""
    return {"status": status, "status_changed_at": timezone.now()}


# Asked for, and taken back


def schedule(
    by: Person, repository: ContainerRepository, registry: Registry | None = None
) -> ContainerRepository:
    """Queue the deletion of an image with everything in it. Twice is the same as once.

    Also the way to try a failed deletion again. Raises `Forbidden`, also where a rule protects the
    image or one of its first tags; the worker asks again, of all of them.
    """
    require_in_project(by, repository.project, Ability.ADMIN_IMAGE)
    guard.require_image(by, repository.project, repository.path, "delete")
    _refuse_protected(by, repository, registry)
    with transaction.atomic():
        if _queue(ContainerRepository.objects.filter(pk=repository.pk), by):
            record("container_repository.schedule_deletion", by=by, target=repository)
            enqueue.on_commit(TASK, repository.pk)
        # Before the commit: after it a quick worker may have removed the row already. One that is
        # gone for other reasons stays as the caller knew it.
        with suppress(ContainerRepository.DoesNotExist):
            repository.refresh_from_db(fields=["status", "status_changed_at", "deleted_by"])
    return repository


def _refuse_protected(
    by: Person, repository: ContainerRepository, registry: Registry | None
) -> None:
    standing = guard.Standing(by, repository.project)
    if not standing.limits_deletion:
        return
    # A registry that does not answer now will have to answer the worker.
    with suppress(RegistryUnavailable, RegistryRefused, guard.TooManyTags):
        known = registry or clients.for_pages()
        guard.refuse(
            guard.protected_tag(
                known, repository.path, standing.tags, standing.rank, most=_LOOKED_AT_ONCE
            )
        )


def retry(by: Person, rows: _Rows) -> int:
    """Queue failed deletions again, for the console. Answers how many."""
    with transaction.atomic():
        failed = list(rows.filter(status=_Status.DELETE_FAILED))
        _queue(ContainerRepository.objects.filter(pk__in=[row.pk for row in failed]), by)
        for row in failed:
            record("container_repository.retry_deletion", by=by, target=row)
            enqueue.on_commit(TASK, row.pk)
    return len(failed)


def schedule_those_of_deleted_projects() -> int:
    """Queue every image of projects that wait for their deletion. Answers how many.

    One that has failed for good stays so until an administrator tries it again.
    """
    waiting = ContainerRepository.objects.filter(
        project__pending_delete_at__isnull=False, status__isnull=True
    )
    return _queue(waiting, None)


def _queue(rows: _Rows, by: Actor | None) -> int:
    """Into the queue, where it is neither there nor under way."""
    resting = rows.filter(Q(status__isnull=True) | Q(status=_Status.DELETE_FAILED))
    by_id = by.person_id if by else None
    return resting.update(**_to(_Status.DELETE_SCHEDULED), **_FRESH, deleted_by_id=by_id)


def take_back(by: Person, project: Project, pk: int) -> ContainerRepository | None:
    """The row, at rest again; None where it is gone. Raises `Conflict` while a worker has it."""
    rows = ContainerRepository.objects.filter(pk=pk, project=project)
    waiting = rows.filter(status__in=[_Status.DELETE_SCHEDULED, _Status.DELETE_FAILED])
    with transaction.atomic():
        changed = waiting.update(**_to(None), **UNOWNED, **_FRESH, deleted_by=None)
        row = rows.first()
        if changed and row:
            record("container_repository.keep", by=by, target=row)
    if row is not None and row.status == _Status.DELETE_ONGOING:
        raise Conflict({"__all__": f"{row.path} is being deleted this moment: try again."})
    return row


# Under way, in a worker


def due(registry: Registry | None = None) -> list[int]:
    """The images whose turn it is, after the bookkeeping that nothing is enqueued for.

    Images of deleted projects are queued, and projects without any left are finished.
    """
    schedule_those_of_deleted_projects()
    finish_projects(registry)
    return _LEASES.due("status_changed_at", _SWEPT_AT_ONCE)


def take(pk: int) -> ContainerRepository | None:
    """Make the row ours; None where it does not wait, or another worker was faster."""
    return _LEASES.take(pk, **_to(_Status.DELETE_ONGOING), started_at=timezone.now())


def delete_repository(pk: int, registry: Registry | None = None) -> Outcome:
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
        rules = _rules(row, registry)
        _remember(row, registry)
        while registry.delete_batch(row.path, BATCH, project=row.project_id, rules=rules):
            if not _LEASES.renew(row):
                return Outcome.NOT_OURS
        crash_points.reached("image_deleted")
        return _finish(row, registry)
    except RegistryUnavailable as error:
        waits = _to(_Status.DELETE_SCHEDULED)
        return _LEASES.give_back(row, str(error), partial(_fail, row), **waits)
    except (RegistryRefused, Forbidden, Conflict) as error:
        return _fail(row, failure_reason=_why(error)[:500])


def _rules(row: ContainerRepository, registry: Registry) -> dict[str, Any]:
    """What the registry has to know of the rules about whoever wants the image deleted.

    A project that is deleted takes its images along, whatever rules it has. Another registry than
    ours knows no rules, so that all tags are held against them here.
    """
    if row.project.pending_delete_at is not None:
        return {}
    standing = guard.Standing(row.deleted_by, row.project)
    guard.refuse(standing.why_not_image(row.path, "delete"))
    if registry.own is None and standing.limits_deletion:
        why = guard.protected_tag(
            registry, row.path, standing.tags, standing.rank, most=guard.MOST_TAGS
        )
        guard.refuse(why)
    return standing.as_meta()


def _why(error: RegistryRefused | Forbidden | Conflict) -> str:
    if isinstance(error, RegistryRefused):
        return f"{error.code}: {error}"
    return f"DENIED: {' '.join(error.messages) if isinstance(error, Conflict) else error}"


def _remember(row: ContainerRepository, registry: Registry) -> None:
    """Keep what an undo of the deletion needs, before anything is deleted. Twice is once."""
    if registry.own is None or not settings.UNDO_WINDOW:
        return
    details = registry.repository(row.path, size=False)
    if details is None or not details.id:
        return
    DeletedImage.objects.update_or_create(
        registry_id=details.id,
        defaults={
            "project": row.project,
            "row": row.pk,
            "name": row.name,
            "tags_count": details.tags_count,
            "deleted_at": timezone.now(),
            "deleted_by": row.deleted_by,
        },
    )


def _wait(row: ContainerRepository) -> Outcome:
    """Back into the queue, for the moment that a change of the path takes. No failure."""
    later = timezone.now() + WHILE_RENAMED
    _LEASES.release(row, **_to(_Status.DELETE_SCHEDULED), next_attempt_at=later)
    return Outcome.LATER


def _fail(row: ContainerRepository, **columns: Any) -> Outcome:
    """For good, until somebody tries it again."""
    columns = {"failed_deletion_count": row.failed_deletion_count + 1, **columns}
    columns |= {**_to(_Status.DELETE_FAILED), "next_attempt_at": None}
    with transaction.atomic():
        if not _LEASES.release(row, **columns):
            return Outcome.NOT_OURS
        reason = columns["failure_reason"]
        record("container_repository.delete_failed", by=None, target=row, reason=reason)
    return Outcome.FAILED


def _finish(row: ContainerRepository, registry: Registry) -> Outcome:
    """The row goes, and with the last one a project that waits for its deletion.

    Unless the image has been pushed anew meanwhile, with a token from before the deletion was asked
    for: then the row rests. A push that is told of while we look makes us look again.
    """
    ours = _LEASES.ours(row)
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
    with transaction.atomic():
        # The registry's row is another one, which was told nothing yet of what is kept.
        rests = {**_to(None), **_FRESH, "deleted_by": None, "keeps_untagged": False}
        changed = _LEASES.release(row, **rests)
        if changed:
            record("container_repository.delete", by=row.deleted_by, target=row, pushed_again=True)
    return Outcome.DONE if changed else Outcome.NOT_OURS


def finish_projects(registry: Registry | None = None) -> int:
    """Remove the rows of deleted projects without images, and of groups; how many went.

    First the registry is told that a project's path is given up: what somebody has pushed meanwhile
    with an older token goes, and nothing is left for the path's next owner. A project whose end the
    registry can't be told stays until the next sweep.
    """

    def leave(project: Project) -> bool:
        own = (registry or clients.for_jobs()).own
        try:
            if own is not None:
                own.give_up(project.full_path, project.pk)
        except (RegistryUnavailable, RegistryRefused) as error:
            log.warning("%s stays for now: %s", project.full_path, error)
            return False
        return True

    return namespaces.finish_deletions(leave if settings.CONTAINER_REGISTRY_ENABLED else None)
