"""What has happened, for whoever keeps it longer than the registry: events, receipts, tag history.

Row by row in order of id, a page in memory at a time. Whoever goes on after the last id that they
have seen gets what came since.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import Any

from registry.models import Event, Receipt, Tag
from registry.services import events
from registry.services.garbage.batches import receipts_after
from registry.timestamps import timestamp

PAGE = 1000
"""Rows that are read at once."""

Row = dict[str, Any]


def event(row: Event) -> Row:
    """An event as the API says it."""
    return {
        "id": row.pk,
        "at": timestamp(row.at),
        "action": row.action,
        "repository": row.repository,
        "renamed_from": row.renamed_from,
        "tag": row.tag,
        "digest": row.digest,
        "media_type": row.media_type,
        "size": row.size,
        "replaced": row.replaced,
        "actor": row.actor,
        "user": row.user,
    }


def receipt(row: Receipt) -> Row:
    """A receipt as the API says it."""
    return {
        "id": row.pk,
        "kind": row.kind,
        "digest": row.digest,
        "repository": row.repository,
        "bytes": row.bytes,
        "reason": row.reason,
        "last_referrer": row.last_referrer,
        "garbage_since": timestamp(row.garbage_since),
        "removed_at": timestamp(row.removed_at),
        "run": str(row.run),
        "cause": row.cause,
    }


def interval(row: Tag) -> Row:
    """From when to when a tag pointed at a manifest."""
    return {
        "id": row.pk,
        "repository": row.repository.name,
        "repository_id": row.repository_id,
        "tag": row.name,
        "digest": row.digest,
        "size": row.size,
        "from": timestamp(row.restored_at or row.started_at),
        "until": timestamp(row.ended_at),
        "pushed_at": timestamp(row.started_at),
        "pushed_by": row.started_by,
        "restored_by": row.restored_by or "",
        "ended_by": row.ended_by,
    }


def _intervals_after(cursor: int, limit: int) -> list[Tag]:
    found = Tag.objects.select_related("repository").filter(pk__gt=cursor)
    return list(found.order_by("pk")[:limit])


_KINDS: dict[str, tuple[Callable[[int, int], list[Any]], str, Callable[[Any], Row]]] = {
    "events": (events.after, "at", event),
    "receipts": (receipts_after, "removed_at", receipt),
    "tag-history": (_intervals_after, "ended_at", interval),
}
KINDS = tuple(_KINDS)


def rows(kind: str, *, after: int = 0, before: dt.datetime | None = None) -> Iterator[Row]:
    """What there is of a kind, behind the id `after`, that happened before `before`.

    Of tags without `before` the intervals that are open too, else those that ended before it.
    """
    page, column, as_json = _KINDS[kind]
    while found := page(after, PAGE):
        for row in found:
            moment = getattr(row, column)
            if before is None or (moment is not None and moment < before):
                yield as_json(row)
        after = found[-1].pk
