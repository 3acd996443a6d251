"""Deleting tags in bulk: the whole life of a `BulkTagDeletion`, whose status is the queue.

    schedule ──► scheduled ── take ──► ongoing ──► finished
                     ▲                   │ │
                     └──── give_back ────┘ └─────► failed

Which tags go is decided when the job runs, and again by whoever takes a job over: what has gone
changes nothing about the rest. A worker owns a row by its lease (`gitlab.jobs.leases`). `by` is who
does it. Refusals: `Forbidden`, `Conflict`, `Invalid` (by argument).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from gitlab.audit.services import record
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.models import BulkTagDeletion, ContainerRepository
from gitlab.container_registry.protection import guard
from gitlab.container_registry.tag_criteria import Candidate, Criteria
from gitlab.jobs import crash_points, enqueue
from gitlab.jobs.leases import Leases, Outcome
from gitlab.namespaces import queries
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Conflict, Forbidden, NotFound

TASK = "workers.tasks.delete_tags_in_bulk"
ONCE_IN = dt.timedelta(hours=1)
KEPT = dt.timedelta(days=30)
"""How long it is kept what became of a job."""

MAX_TAGS = 100_000
"""That one job looks at. The rest is for the next."""

_PAGE = 1000
_AT_ONCE = 100
_SWEPT_AT_ONCE = 50
_Status = BulkTagDeletion.Status
_LEASES = Leases(BulkTagDeletion.objects, active=(_Status.SCHEDULED, _Status.ONGOING))


class TooSoon(Conflict):
    """There was a bulk deletion in this image within the hour."""

    def __init__(self) -> None:
        super().__init__(
            {
                "__all__": "This request has already been made. You can run this at most once an"
                " hour for a given container repository"
            }
        )


def schedule(
    by: Person,
    repository: ContainerRepository,
    *,
    name_regex_delete: str,
    name_regex_keep: str = "",
    keep_n: int = 0,
    older_than: dt.timedelta | None = None,
) -> BulkTagDeletion:
    """Have the tags deleted that fit the criteria. Raises `TooSoon` the second time in an hour."""
    require_in_project(by, repository.project, Ability.ADMIN_IMAGE)
    guard.require_image(by, repository.project, repository.path, "delete")
    Criteria(name_regex_delete, name_regex_keep, keep_n, older_than)
    if repository.is_being_deleted:
        raise Conflict({"__all__": "The image is being deleted with all its tags."})
    now = timezone.now()
    with transaction.atomic():
        # Held, so that of two at the same time the second one sees the first.
        held = ContainerRepository.objects.select_for_update().filter(pk=repository.pk).first()
        if held is None:
            raise NotFound("no such image")
        if BulkTagDeletion.objects.filter(repository=held, requested_at__gt=now - ONCE_IN).exists():
            raise TooSoon
        row = BulkTagDeletion.objects.create(
            repository=held,
            by_id=by.person_id,
            name_regex_delete=name_regex_delete,
            name_regex_keep=name_regex_keep,
            keep_n=keep_n,
            older_than=older_than,
            requested_at=now,
        )
        record(
            "tag.delete_in_bulk",
            by=by,
            target=held,
            name_regex_delete=name_regex_delete,
            name_regex_keep=name_regex_keep,
            keep_n=keep_n,
            older_than=older_than.total_seconds() if older_than is not None else None,
        )
        enqueue.on_commit(TASK, row.pk)
    return row


def due() -> list[int]:
    """The jobs whose turn it is. What has been over for `KEPT` goes."""
    now = timezone.now()
    old = BulkTagDeletion.objects.filter(finished_at__lt=now - KEPT).order_by("finished_at")
    BulkTagDeletion.objects.filter(pk__in=list(old.values_list("pk", flat=True)[:_PAGE])).delete()
    return _LEASES.due("requested_at", _SWEPT_AT_ONCE)


def take(pk: int) -> BulkTagDeletion | None:
    """Make the job ours; None where it does not wait, or another worker was faster."""
    return _LEASES.take(pk, "repository__project__namespace", "by", status=_Status.ONGOING)


def run(pk: int, registry: Registry | None = None) -> Outcome:
    """Delete what a job is about, if it waits."""
    row = take(pk)
    if row is None:
        return Outcome.NOT_OURS
    if queries.is_path_changing(row.repository.path):
        return _give_back(row, "the path is being changed", counts=False)
    try:
        return _delete(row, _person_for(row), registry or clients.for_jobs())
    except (Forbidden, NotFound) as error:
        return _end(row, _Status.FAILED, failure_reason=f"not allowed: {error}"[:500])
    except RegistryUnavailable as error:
        return _give_back(row, str(error))
    except RegistryRefused as error:
        return _end(row, _Status.FAILED, failure_reason=f"{error.code}: {error}"[:500])


def _person_for(row: BulkTagDeletion) -> Person:
    """Whoever asked, where they still may. Raises `Forbidden`, `NotFound`."""
    if row.by is None:
        raise Forbidden("whoever asked is not here any more")
    require_in_project(row.by, row.repository.project, Ability.ADMIN_IMAGE)
    guard.require_image(row.by, row.repository.project, row.repository.path, "delete")
    return row.by


def _delete(row: BulkTagDeletion, by: Person, registry: Registry) -> Outcome:
    criteria = Criteria(row.name_regex_delete, row.name_regex_keep, row.keep_n, row.older_than)
    candidates = _candidates(row, criteria, registry)
    if candidates is None:
        return Outcome.NOT_OURS
    names = _unprotected(row, by, criteria.chosen(candidates, row.requested_at))
    for start in range(0, len(names), _AT_ONCE):
        if not _delete_some(row, by, names[start : start + _AT_ONCE], registry):
            return Outcome.NOT_OURS
        crash_points.reached("tags_deleted")
    return _end(row, _Status.FINISHED)


def _unprotected(row: BulkTagDeletion, by: Person, names: Sequence[str]) -> list[str]:
    """Those that no rule protects from whoever asked, last of all the criteria, as in GitLab.

    The others count as refused.
    """
    standing = guard.Standing(by, row.repository.project)
    left = [name for name in names if not standing.why_not(name, "delete")]
    row.refused_count += len(names) - len(left)
    return left


def _candidates(
    row: BulkTagDeletion, criteria: Criteria, registry: Registry
) -> list[Candidate] | None:
    """The tags that may go, of the first `MAX_TAGS`; None where the job is not ours any more."""
    found: list[Candidate] = []
    last, seen = "", 0
    while True:
        page = registry.tags(row.repository.path, n=_PAGE, last=last, sort="name")
        found += [each for each in map(criteria.candidate, page.tags) if each is not None]
        seen += len(page.tags)
        last = page.next_last
        if not last or seen >= MAX_TAGS:
            return found
        if not _LEASES.renew(row):
            return None


def _delete_some(
    row: BulkTagDeletion, by: Person, names: Sequence[str], registry: Registry
) -> bool:
    """Delete these tags. Whether the job is still ours. What is gone already counts as nothing."""
    deleted: list[str] = []
    try:
        for name in names:
            try:
                if registry.delete_tag(row.repository.path, name, by=by.username):
                    deleted.append(name)
            except RegistryRefused:
                row.refused_count += 1
    finally:
        # Also where the registry has failed in between.
        row.deleted_count += len(deleted)
        if deleted:
            record("tag.delete", by=by, target=row.repository, tags=deleted)
        counts = {"deleted_count": row.deleted_count, "refused_count": row.refused_count}
        ours = _LEASES.renew(row, **counts)
    return ours


def _end(row: BulkTagDeletion, status: _Status, **columns: Any) -> Outcome:
    if not _LEASES.release(row, status=status, finished_at=timezone.now(), **columns):
        return Outcome.NOT_OURS
    return Outcome.FAILED if status == _Status.FAILED else Outcome.DONE


def _give_back(row: BulkTagDeletion, reason: str, *, counts: bool = True) -> Outcome:
    fail = partial(_end, row, _Status.FAILED)
    return _LEASES.give_back(row, reason, fail, counts=counts, status=_Status.SCHEDULED)
