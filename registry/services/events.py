"""Events: written in the transaction in which it happened, read in order by a cursor."""

from __future__ import annotations

from registry.actor import Actor
from registry.models import Event


def record(
    action: Event.Action,
    repository: str,
    actor: Actor,
    *,
    tag: str = "",
    digest: str = "",
    media_type: str = "",
    size: int = 0,
) -> None:
    """Write one event."""
    Event.objects.create(
        action=action,
        repository=repository,
        tag=tag,
        digest=digest,
        media_type=media_type,
        size=size,
        actor=actor.name,
        user=actor.user,
    )


def after(cursor: int, limit: int) -> list[Event]:
    """The next `limit` events whose id is greater than `cursor`."""
    return list(Event.objects.filter(pk__gt=cursor).order_by("pk")[:limit])
