"""Events: written in the transaction in which it happened, read in order by a cursor."""

from __future__ import annotations

from collections.abc import Sequence

from django.db import connections

from registry.actor import Actor
from registry.models import Event
from registry.services.database import ALIAS

# age() compares transaction ids across their wrap-around; the older one has the greater age.
_SETTLED = "age(registry_event.xmin) > age(pg_snapshot_xmin(pg_current_snapshot())::xid)"


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


def record_renames(names: Sequence[tuple[str, str]], actor: Actor) -> None:
    """Write an event for each pair of an old and a new name."""
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

    Ids are given when a transaction writes and seen when it commits. So an event waits until no
    transaction is under way that began to write before it did: a reader's cursor passes none.
    """
    found = Event.objects.filter(pk__gt=cursor).order_by("pk")
    if connections[ALIAS].vendor == "postgresql":
        found = found.extra(where=[_SETTLED])  # noqa: S610 - a constant
    return list(found[:limit])
