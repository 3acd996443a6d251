"""Audit events for whoever keeps them longer than Berth, row by row."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from typing import Any

from gitlab.audit.models import AuditEvent

PAGE = 1000
"""Events that are in memory at once."""


def rows(*, after: int = 0, before: dt.datetime | None = None) -> Iterator[dict[str, Any]]:
    """The events behind the id `after`, in order of id; those that happened before `before`."""
    found = AuditEvent.objects.order_by("pk")
    if before is not None:
        found = found.filter(at__lt=before)
    while page := list(found.filter(pk__gt=after)[:PAGE]):
        yield from map(_as_json, page)
        after = page[-1].pk


def _as_json(event: AuditEvent) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": event.at.astimezone(dt.UTC).isoformat(timespec="microseconds"),
        "actor": event.actor_name,
        "actor_id": event.actor_id,
        "action": event.action,
        "target_type": event.target_type,
        "target_id": event.target_id,
        "target_path": event.target_path,
        "details": event.details,
        "address": event.address,
        "credential": event.credential,
        "request_id": event.request_id,
        "project_id": event.project_pk,
        "namespace_id": event.namespace_pk,
        "person_id": event.person_pk,
        "position": event.chain_position,
        "digest": event.digest,
    }
