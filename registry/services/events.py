"""Events: written in the transaction in which it happened, read in order by a cursor."""

from __future__ import annotations

from collections.abc import Sequence

from registry.actor import Actor
from registry.models import Event
from registry.services import cursors


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
    cursors.announce(Event)
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


def record_renames(names: Sequence[tuple[str, str]], actor: Actor) -> None:
    """Write an event for each pair of an old and a new name."""
    cursors.announce(Event)
    Event.objects.bulk_create(
        [
            Event(
                action=Event.Action.RENAME,
                repository=new,
                renamed_from=old,
                actor=actor.name,
                user=actor.user,
            )
            for old, new in names
        ],
        batch_size=200,
    )


def after(cursor: int, limit: int) -> list[Event]:
    """The next `limit` events whose id is greater than `cursor`.

    An event waits for others with a smaller id that are still being written: see `cursors`.
    """
    last = cursors.settled(Event)
    found = Event.objects.filter(pk__gt=cursor).order_by("pk")
    return list((found if last is None else found.filter(pk__lte=last))[:limit])
