"""Recording what happened. Call it inside the transaction in which it happens."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import Model, Q, QuerySet
from django.utils import timezone

from gitlab.audit import origin
from gitlab.audit.models import AuditEvent
from gitlab.audit.places import Place, kind_of, place_of
from gitlab.principals import Actor, Person
from gitlab.server import request_id


def record(  # noqa: PLR0913 - one for each column
    action: str,
    *,
    by: Actor | None,
    target: Model | None = None,
    path: str = "",
    address: str | None = None,
    credential: str | None = None,
    about: Person | None = None,
    about_pk: int | None = None,
    at: dt.datetime | None = None,
    **details: Any,
) -> AuditEvent:
    """Add one event.

    `action` is a noun and a verb, ``project.create``. `by` is None for what Berth does by itself,
    and for a command. `path` is how people know the target (default: its text). `about`, or the
    id `about_pk`, is the person whom it concerns besides the target. `details` must fit into JSON
    and hold no secret. `address` and `credential` default to those of the request under way, `at`
    to now.
    """
    now = origin.current()
    place = place_of(target) if target else Place()
    return AuditEvent.objects.create(
        actor_id=by.person_id if by else None,
        actor_name=by.label[:255] if by else now.actor,
        action=action,
        target_type=kind_of(target) if target else "",
        target_id=target.pk if target else None,
        target_path=(path or (str(target) if target else ""))[:255],
        details=details,
        address=now.address if address is None else address[:64],
        credential=now.credential if credential is None else credential[:80],
        request_id=request_id.current(),
        project_pk=place.project,
        namespace_pk=place.namespace,
        person_pk=about.pk if about else about_pk or place.person,
        at=at or timezone.now(),
    )


def events_of(target: Model) -> QuerySet[AuditEvent]:
    """What happened to one row, the newest first."""
    return AuditEvent.objects.filter(target_type=kind_of(target), target_id=target.pk)


def events_in_project(pk: int) -> QuerySet[AuditEvent]:
    """What happened to a project and in it: images, tokens, members, rules."""
    return AuditEvent.objects.filter(project_pk=pk)


def events_in_namespaces(pks: QuerySet[Any] | list[int]) -> QuerySet[AuditEvent]:
    """What happened to namespaces, and in their projects while they were there."""
    return AuditEvent.objects.filter(namespace_pk__in=pks)


def events_of_person(pk: int) -> QuerySet[AuditEvent]:
    """What somebody did, and what was done to them and to what is theirs."""
    return AuditEvent.objects.filter(Q(actor_id=pk) | Q(person_pk=pk))
