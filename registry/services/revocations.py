"""Revocations: tokens that end before their time, at the next request.

GitLab's side tells that nothing counts any more which was decided before a moment: with a
credential, for a person, at and below a path, or for a person there. A process keeps all of them in
memory, for they are few: each is forgotten once every token that it could end has ended by itself.
Whether there are newer ones is one number, the greatest id, which every query of a pull brings
along and every other request asks for.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone

from registry.models import Revocation
from registry.services import database
from tokens.access import Access
from tokens.verify import LONGEST_LEEWAY, MAX_LIFETIME, Claims

LATEST = "(SELECT max(id) FROM registry_revocation)"
"""A column for a query: what to give to `notice`."""

MAX_AT_ONCE = 500
_TOKENS_END = dt.timedelta(seconds=MAX_LIFETIME + LONGEST_LEEWAY)
_ALL = "SELECT credential, subject, path, before FROM registry_revocation"

Key = tuple[str, str, str]


class News(Exception):
    """There are revocations that were not known when the request began: it is asked anew."""


@dataclass(frozen=True)
class Ended:
    """What ends, and the moment before which it was decided."""

    before: dt.datetime
    credential: str = ""
    subject: str = ""
    path: str = ""


class _Known:
    """The revocations of this process, and the number that they were read with."""

    def __init__(self) -> None:
        self.latest: int | None = None
        self.moments: dict[Key, float] = {}


_known = _Known()


def refresh() -> bool:
    """Read the revocations where there are newer ones; whether there were."""
    row = database.one(f"SELECT {LATEST}", [])
    latest = row[0] if row else None
    if latest == _known.latest:
        return False
    _known.moments = {
        (credential, subject, path): database.moment(before).timestamp()
        for credential, subject, path, before in database.rows(_ALL, [])
    }
    # That of before they were read, so that what is newer is read again rather than missed.
    _known.latest = latest
    return True


def known() -> int | None:
    """What `LATEST` has to give for there to be nothing new."""
    return _known.latest


def notice(latest: int | None) -> None:
    """Raises `News` where `latest`, which a query has brought along, is not what is known."""
    if latest != _known.latest:
        raise News


def notice_without_a_row() -> None:
    """As `notice`, for whose query has found nothing, and so has brought nothing along."""
    if refresh():
        raise News


def has_ended(claims: Claims) -> bool:
    """Whether a token is of no use any more. GitLab's own tokens never end before their time."""
    moments = _known.moments
    if not moments or claims.subject is None:
        return False
    return any(claims.decided_at < moments.get(key, 0.0) for key in _keys(claims))


def _keys(claims: Claims) -> Iterable[Key]:
    subject = claims.subject or ""
    if claims.credential:
        yield (claims.credential, "", "")
    if subject:
        yield ("", subject, "")
    for path in _paths(claims.access):
        yield ("", "", path)
        if subject:
            yield ("", subject, path)


def _paths(access: Iterable[Access]) -> set[str]:
    """The names that a token is about, with all paths that they are below."""
    found: set[str] = set()
    for entry in access:
        segments = entry.name.split("/") if entry.type == "repository" else []
        found |= {"/".join(segments[: count + 1]) for count in range(len(segments))}
    return found


def add(ended: Iterable[Ended]) -> None:
    """Let tokens end. What is told twice is told once; the later moment counts."""
    with database.atomic():
        database.hold_revocations()
        Revocation.objects.filter(created_at__lt=timezone.now() - _TOKENS_END).delete()
        for each in ended:
            same = Revocation.objects.filter(
                credential=each.credential, subject=each.subject, path=each.path
            )
            if same.filter(before__gte=each.before).exists():
                continue
            same.delete()
            Revocation.objects.create(
                credential=each.credential,
                subject=each.subject,
                path=each.path,
                before=each.before,
            )
