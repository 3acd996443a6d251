"""What is being pushed at and below a path at this moment, what was pushed last, and pulls today.

Of each only the newest rows of the whole registry are looked through, so that who asks again every
few seconds costs what there is to see, and not what there is.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field

from django.utils import timezone

from registry.services import database

NEWEST = 2000
"""Rights and events that are looked through, the newest first."""

SESSIONS = 500
RECENT = dt.timedelta(minutes=15)
"""A layer that came longer ago and that no manifest names yet is no push that goes on."""

MOST = 10

_IN = "(r.name = %s OR (r.name > %s AND r.name < %s))"
_ARRIVED = f"""
SELECT r.name, COUNT(*), SUM(b.size), MIN(l.created_at), MAX(l.created_at) FROM (
    SELECT id, repository_id, blob_id, created_at FROM registry_repositoryblob
    ORDER BY id DESC LIMIT {NEWEST}
) l
JOIN registry_repository r ON r.id = l.repository_id AND r.closed_at IS NULL AND {_IN}
JOIN registry_blob b ON b.id = l.blob_id
WHERE l.created_at > %s
AND NOT EXISTS (SELECT 1 FROM registry_manifestblob u WHERE u.link_id = l.id)
GROUP BY r.name ORDER BY 5 DESC LIMIT {MOST}
"""
_SESSIONS = f"""
SELECT r.name, s.opened_by, s.received, s.created_at, s.committed_digest FROM (
    SELECT repository_id, opened_by, "offset" AS received, created_at, committed_digest
    FROM registry_uploadsession WHERE expires_at > %s ORDER BY expires_at DESC LIMIT {SESSIONS}
) s
JOIN registry_repository r ON r.id = s.repository_id AND r.closed_at IS NULL AND {_IN}
WHERE s.created_at > %s
"""
_PUSHED = f"""
SELECT r.name, r.tag, r.digest, r.size, r.actor, r.at FROM (
    SELECT id, repository AS name, tag, digest, size, actor, at, action FROM registry_event
    ORDER BY id DESC LIMIT {NEWEST}
) r
WHERE r.action = 'push' AND r.tag <> '' AND {_IN} ORDER BY r.id DESC LIMIT {MOST}
"""
_PULLS = f"""
SELECT COALESCE(SUM(d.pulls), 0) FROM registry_repository r
JOIN registry_dailypulls d ON d.repository_id = r.id AND d.digest = '' AND d.tag = '' AND d.day = %s
WHERE r.closed_at IS NULL AND {_IN}
"""


@dataclass
class Arriving:
    """A push that goes on: `blobs` have come, of `bytes`, and so many more are `open` halfway.

    `actors` are whose uploads these are, as far as that is known.
    """

    repository: str
    blobs: int = 0
    bytes: int = 0
    open: int = 0
    open_bytes: int = 0
    since: dt.datetime | None = None
    actors: set[str] = field(default_factory=set)

    def begin(self, at: dt.datetime) -> None:
        """Something of it came at a moment."""
        self.since = min(self.since, at) if self.since else at


@dataclass(frozen=True, slots=True)
class Pushed:
    """A tag that was pushed; `size` is its manifest's own."""

    repository: str
    tag: str
    digest: str
    size: int
    actor: str
    at: dt.datetime


def _where(path: str, *, below: bool) -> list[str]:
    # "0" is the character after "/": see `repositories.at_or_below`. Nothing is between "" and "".
    return [path, f"{path}/", f"{path}0"] if below else [path, "", ""]


def arriving(path: str, *, below: bool = True) -> list[Arriving]:
    """The pushes that go on at a path, and `below` it, at most `MOST` images. Two queries."""
    now = timezone.now()
    where, since = _where(path, below=below), now - RECENT
    found: dict[str, Arriving] = {}
    for name, blobs, size, first, _ in database.rows(_ARRIVED, [*where, since]):
        found[name] = Arriving(name, int(blobs), int(size), since=database.moment(first))
    for name, by, offset, at, committed in database.rows(_SESSIONS, [now, *where, since]):
        if not committed:
            one = found.setdefault(name, Arriving(name))
            one.open += 1
            one.open_bytes += int(offset)
            one.begin(database.moment(at))
        if name in found and by:
            found[name].actors.add(by)
    return list(found.values())[:MOST]


def pushed(path: str, *, below: bool = True) -> list[Pushed]:
    """The tags that were pushed last at a path, and `below` it, the latest first. One query."""
    rows = database.rows(_PUSHED, _where(path, below=below))
    return [
        Pushed(name, tag, digest, int(size), actor, database.moment(at))
        for name, tag, digest, size, actor, at in rows
    ]


def pulls_today(path: str, *, below: bool = True) -> int:
    """How often what lies at a path, and `below` it, was pulled today (UTC). One query."""
    today = timezone.now().date()
    ((pulls,),) = database.rows(_PULLS, [today, *_where(path, below=below)])
    return int(pulls)
