"""Recording what happened. Call it inside the transaction in which it happens."""

from __future__ import annotations

from typing import Any

from django.db.models import Model, QuerySet

from gitlab.audit import origin
from gitlab.audit.models import AuditEvent
from gitlab.principals import Actor


def record(
    action: str,
    *,
    by: Actor | None,
    target: Model | None = None,
    path: str = "",
    address: str | None = None,
    **details: Any,
) -> AuditEvent:
    """Add one event.

    `action` is a noun and a verb, ``project.create``. `by` is None for what Berth does by itself.
    `path` is how people know the target (default: its text). `details` must fit into JSON and hold
    no secret. `address` defaults to that of the request under way.
    """
    return AuditEvent.objects.create(
        actor_id=by.person_id if by else None,
        actor_name=by.label[:255] if by else "",
        action=action,
        target_type=_kind(target) if target else "",
        target_id=target.pk if target else None,
        target_path=(path or (str(target) if target else ""))[:255],
        details=details,
        address=origin.client_ip() if address is None else address,
    )


def events_of(target: Model) -> QuerySet[AuditEvent]:
    """What happened to one row, the newest first."""
    return AuditEvent.objects.filter(target_type=_kind(target), target_id=target.pk)


def _kind(target: Model) -> str:
    """The model's name as it is kept: ``project``, ``containerrepository``."""
    return type(target).__name__.lower()
