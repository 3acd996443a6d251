"""Events: written in the transaction in which it happened, read in order by a cursor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict, Unpack

from django.utils import timezone

from registry.actor import Actor
from registry.models import Event
from registry.services import cursors, database

_INTO = """
INSERT INTO registry_event
(at, action, repository, renamed_from, tag, digest, media_type, size, replaced, actor, "user")
"""
_VALUES = "%s, %s, %s, '', %s, %s, %s, %s, %s, %s, %s"
_RECORD = f"{_INTO} VALUES ({_VALUES})"

RECORD_FOR_EACH = f"{_INTO} SELECT {_VALUES} FROM "
"""SQL: an event with `values` for each row of the query that follows; `cursors.announce` first."""


class Details(TypedDict, total=False):
    """What an event tells besides. `replaced` is the digest at which a tag pointed before its push
    moved it.
    """

    tag: str
    digest: str
    media_type: str
    size: int
    replaced: str


def record(
    action: Event.Action,
    repository: str,
    actor: Actor,
    *,
    send: database.Together | None = None,
    **details: Unpack[Details],
) -> None:
    """Write one event. With `send`, together with other statements."""
    cursors.announce(Event, send)
    (send or database.change)(_RECORD, values(action, repository, actor, **details))


def values(
    action: Event.Action, repository: str, actor: Actor, **details: Unpack[Details]
) -> list[object]:
    """The values of an event, in the order in which its statement has them."""
    return [
        timezone.now(),
        action.value,
        repository,
        details.get("tag", ""),
        details.get("digest", ""),
        details.get("media_type", ""),
        details.get("size", 0),
        details.get("replaced", ""),
        actor.name,
        actor.user,
    ]


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
