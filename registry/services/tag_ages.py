"""What a cleanup asks of an image's tags: thousands at once, and nothing that it has no use for."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from registry.services import database
from registry.timestamps import timestamp

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
    when what it points at was pulled last since pulls are counted. Moments as
    `registry.timestamps` writes them, since a hundred thousand are written and none is compared.
    """

    name: str
    digest: str
    size: int
    created_at: str | None
    published_at: str
    last_pulled_at: str | None


def page(repository_id: int, last: str, limit: int) -> tuple[list[TagAge], bool]:
    """Up to `limit` tags after the name `last` in byte order, and whether there are more."""
    found = database.rows(_PAGE, [repository_id, last, limit + 1])
    shown = [
        TagAge(
            name,
            digest,
            size,
            created and _written(created),
            _written(published),
            pulled and _written(pulled),
        )
        for name, digest, size, created, published, pulled in found[:limit]
    ]
    return shown, len(found) > limit


def _written(value: str | dt.datetime) -> str:
    """A moment as `timestamp` writes it; SQLite's text says the same but for two signs."""
    if isinstance(value, str):
        return f"{value[:10]}T{value[11:23]}+00:00"
    return timestamp(value) or ""
