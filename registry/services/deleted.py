"""What was deleted and can still be brought back: the tags at and below a path."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db import connections
from django.utils import timezone

from registry.services import database
from registry.services.garbage import reviews

# A tag that was pushed or moved since has a later row. The last condition on names leaves out what
# lies in the range and is not below the path (``path-x``).
_TAGS = """
SELECT r.name, t.id, t.name, t.digest, t.size, t.ended_at, t.ended_by
FROM registry_repository r
JOIN registry_tag t ON t.repository_id = r.id AND t.ended_at > %s AND t.manifest_id IS NOT NULL
WHERE r.closed_at IS NULL AND (r.name = %s OR (r.name > %s AND r.name < %s)){named}{behind}
AND NOT EXISTS (
    SELECT 1 FROM registry_tag later
    WHERE later.repository_id = t.repository_id AND later.name = t.name AND later.id > t.id
)
ORDER BY t.ended_at DESC, t.id DESC LIMIT %s
"""
_BEHIND = """
AND (t.ended_at, t.id) < (SELECT l.ended_at, l.id FROM registry_tag l WHERE l.id = %s)"""


# Not LIKE, which SQLite matches in any case.
_NAMED = {
    "sqlite": "\nAND (instr(t.name, %s) > 0 OR instr(r.name, %s) > 0)",
    "postgresql": "\nAND (strpos(t.name, %s) > 0 OR strpos(r.name, %s) > 0)",
}


@dataclass(frozen=True, slots=True)
class DeletedTag:
    """A tag that is no more: `interval` brings it back, until `until`."""

    repository: str
    interval: int
    name: str
    digest: str
    size: int
    deleted_at: dt.datetime
    deleted_by: str
    until: dt.datetime


def tags_below(path: str, limit: int, *, last: int = 0, name: str = "") -> list[DeletedTag]:
    """Up to `limit` deleted tags of repositories at and below `path`, the latest first.

    Those behind the interval with the id `last`, and with `name` in the name of the tag or of its
    repository, where these are given.
    """
    window = reviews.window()
    since = timezone.now() - window
    with connections[database.ALIAS].cursor() as cursor:
        vendor = connections[database.ALIAS].vendor
        sql = _TAGS.format(named=_NAMED[vendor] if name else "", behind=_BEHIND if last else "")
        more: list[str | int] = [*([name, name] if name else []), *([last] if last else [])]
        cursor.execute(sql, [since, path, f"{path}/", f"{path}0", *more, limit])
        rows = cursor.fetchall()
    return [
        DeletedTag(name, pk, tag, digest, size, ended_at, ended_by, ended_at + window)
        for name, pk, tag, digest, size, ended_at, ended_by in (
            (*row[:5], _aware(row[5]), row[6]) for row in rows
        )
    ]


def _aware(moment: dt.datetime | str) -> dt.datetime:
    """SQLite gives what it was given: a text without a zone, which is UTC."""
    if isinstance(moment, str):
        moment = dt.datetime.fromisoformat(moment)
    return moment if moment.tzinfo else moment.replace(tzinfo=dt.UTC)
