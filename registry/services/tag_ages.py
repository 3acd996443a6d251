"""What a cleanup asks of an image's tags: thousands at once, and nothing that it has no use for."""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from registry.services import database

MAX_PAGE = 4000
"""Tags of a page: with names of any length about a megabyte of JSON."""

_PAGE = """
SELECT t.name, m.digest, t.size, m.image_created_at, t.started_at, p.last_at
FROM registry_tag t JOIN registry_manifest m ON m.id = t.manifest_id
LEFT JOIN registry_manifestpulls p ON p.manifest_id = m.id
WHERE t.repository_id = %s AND t.ended_at IS NULL AND t.name > %s ORDER BY t.name LIMIT %s
"""


class TagAge(NamedTuple):
    """A tag: `size` in bytes, when its image was made by its own account, when it was pushed, and
    when what it points at was pulled last since pulls are counted.
    """

    name: str
    digest: str
    size: int
    created_at: dt.datetime | None
    published_at: dt.datetime
    last_pulled_at: dt.datetime | None


def page(repository_id: int, last: str, limit: int) -> tuple[list[TagAge], bool]:
    """Up to `limit` tags after the name `last` in byte order, and whether there are more."""
    found = database.rows(_PAGE, [repository_id, last, limit + 1])
    shown = [
        TagAge(
            name,
            digest,
            size,
            _moment(created),
            database.moment(published),
            _moment(pulled),
        )
        for name, digest, size, created, published, pulled in found[:limit]
    ]
    return shown, len(found) > limit


def _moment(value: Any) -> dt.datetime | None:
    return database.moment(value) if value is not None else None
