"""What lies below a path and waits for the collector, and until when it can be brought back."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.utils import timezone

from registry.services import database
from registry.services.garbage import reviews
from registry.services.statistics import MAX_BLOBS, Statistics

MOST = 10_000
"""Deleted tags and images that are counted."""

_STORED = """
SELECT COALESCE(SUM(size), 0) FROM registry_blob WHERE id IN (
    SELECT DISTINCT l.blob_id FROM registry_repository r
    JOIN registry_repositoryblob l ON l.repository_id = r.id
    WHERE r.name = %s OR (r.name > %s AND r.name < %s) LIMIT %s
)
"""
_TAGS = """
SELECT COUNT(*), MIN(at), MAX(at) FROM (
    SELECT t.ended_at AS at FROM registry_repository r
    JOIN registry_tag t ON t.repository_id = r.id AND t.ended_at > %s AND t.manifest_id IS NOT NULL
    WHERE r.closed_at IS NULL AND (r.name = %s OR (r.name > %s AND r.name < %s)) LIMIT %s
) ended
"""
_IMAGES = """
SELECT COUNT(*), MIN(at), MAX(at) FROM (
    SELECT r.closed_at AS at FROM registry_repository r
    WHERE r.closed_at > %s AND (r.name = %s OR (r.name > %s AND r.name < %s)) LIMIT %s
) closed
"""


@dataclass(frozen=True, slots=True)
class Waiting:
    """`bytes` that no live manifest names any more, or none yet.

    `tags` ended (deleted, or moved on) and `images` were deleted within the undo window: the
    first of them may be collected at `first`, the last at `last`.
    """

    bytes: int
    tags: int
    images: int
    first: dt.datetime | None
    last: dt.datetime | None


def below(live: Statistics) -> Waiting:
    """What waits at and below the path of `live`, which says what does not. Three queries.

    The bytes are the least where there are more blobs than are counted.
    """
    where = [live.path, f"{live.path}/", f"{live.path}0"]
    window = reviews.window()
    since = timezone.now() - window
    (stored,) = database.one(_STORED, [*where, MAX_BLOBS]) or (0,)
    (tags,) = database.rows(_TAGS, [since, *where, MOST])
    (images,) = database.rows(_IMAGES, [since, *where, MOST])
    moments = [database.moment(at) for at in (*tags[1:], *images[1:]) if at is not None]
    return Waiting(
        bytes=max(0, int(stored) - live.size),
        tags=int(tags[0]),
        images=int(images[0]),
        first=min(moments) + window if moments else None,
        last=max(moments) + window if moments else None,
    )
