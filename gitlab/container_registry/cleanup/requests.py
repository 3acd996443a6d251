"""Cleanups as people and policies ask for them: begun, approved, cancelled, undone, looked up.

Each changes the row of a `CleanupRun`, and a worker does the rest: see `runs`. `by` is who does it.
Refusals: `NotFound`, `Forbidden`, `Conflict`.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction
from django.db.models import QuerySet
from django.utils import timezone

from gitlab.audit.services import record
from gitlab.container_registry.cleanup import restoring, services
from gitlab.container_registry.cleanup.choosing import Selection
from gitlab.container_registry.cleanup.models import ENDED, CleanupPolicy, CleanupRun
from gitlab.container_registry.cleanup.policy import read_rules
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.protection import guard
from gitlab.jobs import enqueue
from gitlab.jobs.leases import UNOWNED
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.models import Project
from gitlab.namespaces.policies import Ability
from gitlab.principals import Anybody, Person
from gitlab.refusals import Conflict, NotFound

TASK = "workers.tasks.run_cleanup"
_Status = CleanupRun.Status
_NOT_BEGUN = (_Status.PLANNING, _Status.PLANNED, _Status.APPROVED)


def request(by: Person, project: Project) -> CleanupRun:
    """Have a plan made by the policy that holds, which waits for approval: the preview.

    Raises `Conflict` while a cleanup of the project is under way, or where there are no rules.
    """
    require_in_project(by, project, Ability.ADMIN_IMAGE)
    policy = services.effective_policy(project)
    if not any(rule.says_something for rule in read_rules(policy.rules)):
        raise Conflict({"__all__": "There is no rule by which something could be planned."})
    with transaction.atomic():
        row = _open(project, rules=policy.rules, requested_by_id=by.person_id)
        if row is None:
            raise Conflict({"__all__": "A cleanup of this project is under way."})
        record("cleanup.request", by=by, target=project, run=row.pk)
        enqueue.on_commit(TASK, row.pk)
    return row


def request_chosen(by: Person, image: ContainerRepository, selection: Selection) -> CleanupRun:
    """Have a plan made that deletes all of an image that is chosen, and waits for approval.

    Raises `Conflict` while a cleanup of the project is under way, `Invalid` where nothing is
    chosen.
    """
    require_in_project(by, image.project, Ability.ADMIN_IMAGE)
    guard.require_image(by, image.project, image.path, "delete")
    selection.check()
    with transaction.atomic():
        row = _open(
            image.project,
            rules=selection.rules,
            selection=selection.as_json(),
            requested_by_id=by.person_id,
        )
        if row is None:
            raise Conflict({"__all__": "A cleanup of this project is under way."})
        record("cleanup.request", by=by, target=image, run=row.pk, chosen=selection.in_words())
        enqueue.on_commit(TASK, row.pk)
    return row


def open_by_policy(project: Project, policy: CleanupPolicy) -> CleanupRun | None:
    """The run that a policy's cadence asks for; None where a cleanup is under way."""
    return _open(
        project,
        rules=policy.rules,
        requires_approval=policy.requires_approval,
        by_policy=True,
    )


def _open(project: Project, **columns: Any) -> CleanupRun | None:
    """A new run, None where one is under way. A plan that waits for approval gives way to it."""
    try:
        with transaction.atomic():
            _end_waiting(project)
            return CleanupRun.objects.create(project=project, **columns)
    except IntegrityError:
        return None


def _end_waiting(project: Project) -> None:
    waiting = CleanupRun.objects.filter(project=project, status=_Status.PLANNED)
    waiting.update(
        status=_Status.CANCELLED,
        finished_at=timezone.now(),
        failure_reason="A newer plan has taken its place.",
    )


def approve(by: Person, run: CleanupRun) -> CleanupRun:
    """Let a plan be executed. Raises `Conflict` for one that does not wait for that."""
    require_in_project(by, run.project, Ability.ADMIN_IMAGE)
    with transaction.atomic():
        waiting = CleanupRun.objects.filter(pk=run.pk, status=_Status.PLANNED)
        try:
            with transaction.atomic():
                changed = waiting.update(
                    status=_Status.APPROVED, approved_by_id=by.person_id, turn_at=timezone.now()
                )
        except IntegrityError:
            raise Conflict({"__all__": "A cleanup of this project is under way."}) from None
        if not changed:
            raise Conflict({"__all__": "This plan does not wait for approval."})
        record("cleanup.approve", by=by, target=run.project, run=run.pk)
        enqueue.on_commit(TASK, run.pk)
    run.refresh_from_db()
    return run


def cancel(by: Person, run: CleanupRun) -> CleanupRun:
    """End a plan, or a run: its worker ends that behind the batch that it is at.

    What is deleted stays deleted, until that is undone. Raises `Conflict` for one that is over.
    """
    require_in_project(by, run.project, Ability.ADMIN_IMAGE)
    with transaction.atomic():
        rows = CleanupRun.objects.filter(pk=run.pk)
        changed = rows.filter(status=_Status.RUNNING).update(
            cancel_asked=True, ended_by_id=by.person_id
        ) or rows.filter(status__in=_NOT_BEGUN).update(
            **UNOWNED,
            status=_Status.CANCELLED,
            finished_at=timezone.now(),
            ended_by_id=by.person_id,
        )
        if not changed:
            raise Conflict({"__all__": "This cleanup is over."})
        record("cleanup.cancel", by=by, target=run.project, run=run.pk)
        enqueue.on_commit(TASK, run.pk)
    run.refresh_from_db()
    return run


def undo(by: Person, run: CleanupRun) -> CleanupRun:
    """Bring back all that a run has deleted. Raises `Conflict` where that is too late."""
    require_in_project(by, run.project, Ability.ADMIN_IMAGE)
    until = undo_until(run)
    if until is None or until <= timezone.now():
        raise Conflict({"__all__": "There is nothing that could still be brought back."})
    with transaction.atomic():
        rows = CleanupRun.objects.filter(pk=run.pk, status__in=ENDED)
        try:
            with transaction.atomic():
                changed = rows.update(
                    status=_Status.UNDOING,
                    ended_by_id=by.person_id,
                    turn_at=timezone.now(),
                    next_attempt_at=None,
                    failures=0,
                    failure_reason="",
                )
        except IntegrityError:
            raise Conflict({"__all__": "A cleanup of this project is under way."}) from None
        if not changed:
            raise Conflict({"__all__": "This cleanup can't be undone now."})
        record("cleanup.undo", by=by, target=run.project, run=run.pk)
        enqueue.on_commit(TASK, run.pk)
    run.refresh_from_db()
    return run


def undo_until(run: CleanupRun) -> dt.datetime | None:
    """Until when a run can be undone as a whole; None where there is nothing to undo.

    What went first is the first to go for good.
    """
    if run.status not in ENDED or run.started_at is None or not settings.UNDO_WINDOW:
        return None
    may_have = run.deleted_count or (run.status == _Status.FAILED and restoring.is_unclear(run))
    if not may_have:
        return None
    return run.started_at + settings.UNDO_WINDOW


def get_for(user: Anybody, project: Project, pk: int) -> CleanupRun:
    """A run of a project, for whoever may run cleanups. Raises `NotFound`, `Forbidden`."""
    require_in_project(user, project, Ability.ADMIN_IMAGE)
    row = runs_of(project).filter(pk=pk).first()
    if row is None:
        raise NotFound("no such cleanup")
    row.project = project
    return row


def runs_of(project: Project) -> QuerySet[CleanupRun]:
    """The runs of a project, the latest first by their id."""
    people = ("requested_by", "approved_by", "ended_by")
    return CleanupRun.objects.filter(project=project).select_related(*people)
