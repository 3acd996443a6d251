"""Deleting somebody with what they own: it moves to somebody else, or is deleted.

    request() ──► waiting ── run() ──► projects and groups move, or are deleted ──► the person goes
                     ▲         │
                     └─────────┴── images are still being deleted, or the registry does not answer
                                                                  └──► failed, with its reason

They are blocked from the moment that it is asked for. Each step looks at what is left and may run
twice. What is done is done by the administrator who has asked, by the rules that pages have.
"""

from __future__ import annotations

import datetime as dt
import logging
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from gitlab.accounts import services as accounts
from gitlab.accounts.models import User
from gitlab.audit.services import record
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import Registry
from gitlab.jobs import enqueue
from gitlab.jobs.due import MOST_ATTEMPTS, DueRows
from gitlab.namespaces import members
from gitlab.namespaces import services as namespaces
from gitlab.namespaces.models import AccessLevel, Member, Namespace, Project
from gitlab.path_changes import services as path_changes
from gitlab.principals import Person
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound
from gitlab.user_deletion.models import UserDeletion

log = logging.getLogger(__name__)

TASK = "workers.tasks.delete_users"
AT_ONCE = 10
"""People whom a run looks at."""

STEPS = 20
"""Projects and groups that one look moves or deletes; the others wait for the next."""

_PAUSE = dt.timedelta(seconds=20)
_REGISTRY = (RegistryUnavailable, RegistryRefused)
_Status = UserDeletion.Status
_ROWS = DueRows(UserDeletion.objects.all)


def owned(user: Person) -> tuple[list[Project], list[Namespace]]:
    """What somebody owns alone: projects of their own namespace, and groups. A hundred of each."""
    projects = Project.objects.filter(namespace__owner_id=user.pk, pending_delete_at__isnull=True)
    return (
        list(projects.select_related("namespace").order_by("full_path")[:100]),
        list(members.groups_only_owned_by(user).order_by("full_path")[:100]),
    )


@transaction.atomic
def request(
    by: Person, user: User, *, heir: User | None = None, deletes: bool = False
) -> UserDeletion | None:
    """Have somebody deleted. What they own moves to `heir`, or is deleted where it `deletes`.

    None where they are gone already, because they own nothing. Raises `Conflict` where they own
    something and neither is chosen, and for groups that hold projects and can't be deleted;
    `Invalid` for ``heir``; `Forbidden`.
    """
    if not (by.is_superuser and by.is_active):
        raise Forbidden("Only administrators may do this.")
    if by.pk == user.pk:
        raise Invalid({"user": "You can't delete yourself."})
    if user.is_bot:
        raise Forbidden("A bot is ended by its token: revoke it.")
    if heir is not None and deletes:
        raise Invalid({"heir": "It moves to somebody, or is deleted: not both."})
    namespace = Namespace.objects.filter(owner_id=user.pk).first()
    group = members.only_owned_by(user)
    has_projects = namespace is not None and namespace.projects.exists()
    if not has_projects and group is None:
        accounts.delete_user(user, by=by)
        return None
    if heir is None and not deletes:
        what = f"is the only owner of {group.full_path}" if group else "still has projects"
        raise Conflict({"__all__": f"{user.username} {what}: choose what becomes of it."})
    if heir is not None:
        _check_heir(user, heir)
    else:
        _check_groups_go(user)
    accounts.block(user, by=by)
    row, _ = UserDeletion.objects.update_or_create(
        user=user,
        defaults={
            "moves": heir is not None,
            "heir": heir,
            "requested_by_id": by.pk,
            "status": _Status.WAITING,
            "attempts": 0,
            "failure_reason": "",
            "due_at": timezone.now(),
        },
    )
    becomes: dict[str, Any] = (
        {"moves_to": heir.username} if heir is not None else {"deletes": "what they own"}
    )
    record("user.schedule_deletion", by=by, target=user, **becomes)
    enqueue.on_commit(TASK)
    return row


def _check_heir(user: User, heir: User) -> None:
    if heir.pk == user.pk or heir.is_bot or not heir.is_active:
        raise Invalid({"heir": "Somebody else, who is active."})


def _check_groups_go(user: User) -> None:
    """Raises `Conflict` for a group that only they own and that holds projects of others."""
    for group in members.groups_only_owned_by(user).order_by("full_path")[:100]:
        below = Project.objects.filter(
            full_path__startswith=f"{group.full_path}/", pending_delete_at__isnull=True
        )
        if below.exists():
            raise Conflict(
                {
                    "__all__": f"{user.username} is the only owner of {group.full_path}, which has"
                    " projects: let it move to somebody, or delete them first."
                }
            )


@transaction.atomic
def cancel(by: Person, user: User) -> None:
    """Let somebody stay whose deletion has not ended. They stay blocked; what has moved, has.

    Raises `Forbidden`, `NotFound`.
    """
    if not (by.is_superuser and by.is_active):
        raise Forbidden("Only administrators may do this.")
    if not UserDeletion.objects.filter(user=user).delete()[0]:
        raise NotFound("they are not being deleted")
    record("user.keep", by=by, target=user)


def sweep(registry: Registry | None = None) -> int:
    """Give each deletion whose time has come its turn; how many people have gone."""
    return sum(run(pk, registry) for pk in _ROWS.ids(AT_ONCE))


def run(pk: int, registry: Registry | None = None) -> bool:
    """Take the next steps of one deletion; whether the person has gone."""
    row = _ROWS.take(pk, "user", "heir", "requested_by")
    if row is None:
        return False
    by = row.requested_by
    if by is None or not (by.is_superuser and by.is_active):
        return _fail(row, "who has asked for it is no administrator any more")
    if row.moves and (row.heir is None or not row.heir.is_active):
        return _fail(row, "who was to get it is not here any more")
    try:
        is_left = _step(row, by, registry)
        if not is_left:
            accounts.delete_user(row.user, by=by)
    except (*_REGISTRY, ValidationError, Forbidden, NotFound) as error:
        return _again(row, _why(error))
    if is_left:
        _later(row)
    return not is_left


def _why(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    return f"The registry: {error}" if isinstance(error, _REGISTRY) else str(error)


def _step(row: UserDeletion, by: User, registry: Registry | None) -> bool:
    """Move or delete some of what is left; whether anything is."""
    left = Project.objects.filter(namespace__owner_id=row.user_id).select_related("namespace")
    for project in left.filter(pending_delete_at__isnull=True).order_by("pk")[:STEPS]:
        if row.heir is not None:
            _move(by, project, row.user, row.heir, registry)
        else:
            namespaces.delete_project(by, project)
    for group in members.groups_only_owned_by(row.user).order_by("pk")[:STEPS]:
        if row.heir is not None:
            _give(by, group, row.heir)
        else:
            namespaces.delete_group(by, group)
    return left.exists() or members.only_owned_by(row.user) is not None


def _move(by: User, project: Project, user: User, heir: User, registry: Registry | None) -> None:
    """To the heir's own namespace; under another name where that one is taken there."""
    there = Namespace.objects.get(owner=heir)
    if there.projects.filter(path=project.path).exists():
        path = f"{user.username}-{project.path}"[:100].rstrip("-._")
        project = path_changes.change_project_path(by, project, path=path, registry=registry)
    path_changes.transfer_project(by, project, namespace=there, registry=registry)


def _give(by: User, group: Namespace, heir: User) -> None:
    owner = int(AccessLevel.OWNER)
    if Member.objects.filter(namespace=group, user=heir).exists():
        members.update_member(by, group, heir, owner)
    else:
        members.add_member(by, group, heir, owner)


def _later(row: UserDeletion) -> None:
    """Something is left that others work at: images that are being deleted, say."""
    _ROWS.later(row, _PAUSE, attempts=0, failure_reason="")


def _again(row: UserDeletion, reason: str) -> bool:
    """Later once more, or no more. Answers False."""
    if row.attempts >= MOST_ATTEMPTS:
        return _fail(row, reason)
    pause = dt.timedelta(seconds=15 * 2**row.attempts)
    _ROWS.later(row, pause, failure_reason=reason[:500])
    log.warning("the deletion of %s waits: %s", row.user.username, reason)
    return False


def _fail(row: UserDeletion, reason: str) -> bool:
    _ROWS.end(row, _Status.FAILED, failure_reason=reason[:500])
    log.warning("the deletion of %s was given up: %s", row.user.username, reason)
    return False
