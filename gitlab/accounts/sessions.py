"""Where people are signed in: listed, ended, and swept when they are over.

A row of allauth's says of each session whose it is, from where and with which browser. The session
itself is Django's. What ends all of somebody's sessions does not rely on those rows: it moves
`User.sessions_ended_at`, which each session is signed with.
"""

from __future__ import annotations

import datetime as dt
from typing import Any, NamedTuple

from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import transaction
from django.utils import timezone

from gitlab.accounts.models import User
from gitlab.audit.services import record
from gitlab.principals import Person
from gitlab.refusals import NotFound

BATCH = 1000
MOST = 100
"""Sessions of one person. When there are more, the oldest end."""

_SEEN_EVERY = dt.timedelta(minutes=10)
_UNKNOWN = "::"
_BROWSERS = (
    ("Edg/", "Edge"),
    ("OPR/", "Opera"),
    ("Firefox/", "Firefox"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
"""What a ``User-Agent`` holds → how people call it. The first that fits: all claim to be Safari."""

_SYSTEMS = (
    ("Android", "Android"),
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Windows", "Windows"),
    ("Mac OS X", "macOS"),
    ("Linux", "Linux"),
)


class ActiveSession(NamedTuple):
    """One of somebody's sessions, as a page shows it."""

    id: int
    browser: str
    system: str
    address: str
    began_at: dt.datetime
    seen_at: dt.datetime
    is_this: bool

    @property
    def is_mobile(self) -> bool:
        """Whether it is a telephone's or a tablet's."""
        return self.system in ("Android", "iPhone", "iPad")


def note_begun(user: User, key: str, *, address: str, agent: str) -> None:
    """Somebody has signed in: `agent` is what the browser calls itself."""
    UserSession.objects.update_or_create(
        session_key=key,
        defaults={
            "user": user,
            "ip": address or _UNKNOWN,
            "user_agent": agent[:200],
            "last_seen_at": timezone.now(),
        },
    )
    _end(list(_rows(user).values_list("session_key", flat=True)[MOST:]))


def note_seen(key: str, address: str, now: dt.datetime) -> None:
    """A session is in use. Written at most every ten minutes: whoever calls looks first."""
    rows = UserSession.objects.filter(session_key=key)
    rows.update(last_seen_at=now, ip=address or _UNKNOWN)


def is_due(seen: object, now: dt.datetime) -> bool:
    """Whether it is time for `note_seen` again. `seen` is what the session holds, in seconds."""
    return not isinstance(seen, int) or now.timestamp() - seen > _SEEN_EVERY.total_seconds()


def carry_over(before: str | None, key: str | None) -> None:
    """A session goes on under another key."""
    UserSession.objects.filter(session_key=before).update(session_key=key)


def of(user: Person, this: str | None) -> list[ActiveSession]:
    """The sessions in which somebody is signed in, the one in use last first."""
    rows = list(_rows(user)[:MOST])
    alive = set(
        Session.objects.filter(
            pk__in=[row.session_key for row in rows], expire_date__gt=timezone.now()
        ).values_list("pk", flat=True)
    )
    return [_shown(row, this) for row in rows if row.session_key in alive]


def _rows(user: Person) -> Any:
    return UserSession.objects.filter(user_id=user.pk).order_by("-last_seen_at", "-pk")


def _shown(row: UserSession, this: str | None) -> ActiveSession:
    return ActiveSession(
        row.pk,
        next((name for mark, name in _BROWSERS if mark in row.user_agent), "Another client"),
        next((name for mark, name in _SYSTEMS if mark in row.user_agent), ""),
        "" if row.ip == _UNKNOWN else row.ip,
        row.created_at,
        row.last_seen_at,
        row.session_key == this,
    )


@transaction.atomic
def end(user: Person, session_id: int, *, by: Person) -> None:
    """End one session. Raises `NotFound` for one that is not theirs, or over."""
    row = UserSession.objects.filter(pk=session_id, user_id=user.pk).first()
    if row is None:
        raise NotFound
    _end([row.session_key])
    record("user.end_session", by=by, target=_user(user), device=row.user_agent, address_of=row.ip)


@transaction.atomic
def end_all(user: User, *, by: Person | None, keep: str | None = None, note: bool = True) -> None:
    """End all sessions of somebody but the one with the key `keep`.

    A page that keeps its own signs it anew: ``update_session_auth_hash(request, user)``.
    """
    user.sessions_ended_at = timezone.now()
    User.objects.filter(pk=user.pk).update(sessions_ended_at=user.sessions_ended_at)
    keys = UserSession.objects.filter(user_id=user.pk).values_list("session_key", flat=True)
    _end([key for key in keys if key != keep])
    if note:
        record("user.end_sessions", by=by, target=user)


def _user(person: Person) -> User:
    return person if isinstance(person, User) else User.objects.get(pk=person.pk)


def forget(key: str | None) -> None:
    """A session is over: its own browser has signed out."""
    UserSession.objects.filter(session_key=key).delete()


def _end(keys: list[str]) -> None:
    if keys:
        Session.objects.filter(pk__in=keys).delete()
        UserSession.objects.filter(session_key__in=keys).delete()


def sweep(batches: int = 100) -> int:
    """Remove the rows of sessions that are over, in batches by their index; how many went.

    May run at any time and twice. What `batches` leave is for the next time.
    """
    gone = 0
    for _ in range(batches):
        over = Session.objects.filter(expire_date__lt=timezone.now()).order_by("expire_date")
        keys = list(over.values_list("pk", flat=True)[:BATCH])
        UserSession.objects.filter(session_key__in=keys).delete()
        gone += Session.objects.filter(pk__in=keys).delete()[0]
        if len(keys) < BATCH:
            break
    _sweep_what_is_left()
    return gone


def _sweep_what_is_left() -> None:
    """Rows of sessions that ended in another way, the oldest first."""
    long_ago = timezone.now() - dt.timedelta(seconds=settings.SESSION_COOKIE_AGE)
    old = UserSession.objects.filter(last_seen_at__lt=long_ago).order_by("pk")
    pks = list(old.values_list("pk", flat=True)[:BATCH])
    UserSession.objects.filter(pk__in=pks).delete()
