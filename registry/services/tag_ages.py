"""What a cleanup asks of an image's tags: thousands at once, and nothing that it has no use for."""

from __future__ import annotations

import datetime as dt
from typing import NamedTuple

from registry.services import database

MAX_PAGE = 4000
"""Tags of a page: with names of any length about a megabyte of JSON."""

_PAGE = """
SELECT t.name, m.digest, t.size, m.image_created_at, t.started_at
FROM registry_tag t JOIN registry_manifest m ON m.id = t.manifest_id
WHERE t.repository_id = %s AND t.ended_at IS NULL AND t.name > %s ORDER BY t.name LIMIT %s
"""


class TagAge(NamedTuple):
    """A tag: `size` in bytes, when its image was made by its own account, when it was pushed."""

    name: str
    digest: str
    size: int
    created_at: dt.datetime | None
    published_at: dt.datetime


def page(repository_id: int, last: str, limit: int) -> tuple[list[TagAge], bool]:
    """Up to `limit` tags after the name `last` in byte order, and whether there are more."""
    found = database.rows(_PAGE, [repository_id, last, limit + 1])
    shown = [
        TagAge(
            name,
            digest,
            size,
            database.moment(created) if created is not None else None,
            database.moment(published),
        )
        for name, digest, size, created, published in found[:limit]
    ]
    return shown, len(found) > limit
