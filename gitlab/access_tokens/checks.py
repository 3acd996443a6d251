"""What every kind of token asks of what is typed, and how its use is noted."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Protocol

from django.conf import settings
from django.db import transaction
from django.db.models import Model, Q
from django.utils import timezone

from gitlab.audit.services import record
from gitlab.principals import Actor
from gitlab.refusals import Invalid

_USED_EVERY = dt.timedelta(minutes=10)
_USED_ELSEWHERE_EVERY = dt.timedelta(minutes=1)


class Used(Protocol):
    """A token, as far as its use goes."""

    @property
    def id(self) -> int:
        """That of its row."""

    @property
    def last_used_at(self) -> dt.datetime | None:
        """None before it is used."""


_ABILITIES: dict[str, frozenset[str]] = {
    "api": frozenset(["read", "create", "delete", "admin"]),
    "read_api": frozenset(["read"]),
    "read_registry": frozenset(["read"]),
    "write_registry": frozenset(["create"]),
}


def registry_abilities(scopes: Iterable[str]) -> frozenset[str]:
    """What of ``read``, ``create``, ``delete`` and ``admin`` the scopes carry for images."""
    return frozenset().union(*(_ABILITIES.get(scope, frozenset()) for scope in scopes))


def check_name(name: str) -> str:
    """The name as it is kept. Raises `Invalid`."""
    name = name.strip()
    if not name or len(name) > 255:
        raise Invalid({"name": "A name of 1 to 255 characters."})
    return name


def check_scopes(scopes: Sequence[str], known: Collection[str]) -> list[str]:
    """The scopes as they are kept: each once, in the order of `known`. Raises `Invalid`."""
    if not scopes or set(scopes) - set(known):
        raise Invalid({"scopes": f"At least one of {', '.join(known)}."})
    return [scope for scope in known if scope in set(scopes)]


def check_expiry(expires_at: dt.date | None) -> dt.date | None:
    """The first day on which a token is refused. Raises `Invalid`."""
    if expires_at is not None and expires_at <= timezone.now().date():
        raise Invalid({"expires_at": "A day in the future."})
    return expires_at


def end_of(expires_at: dt.date | None) -> float | None:
    """When a token with this first day of refusal ends, in seconds since the epoch."""
    if expires_at is None:
        return None
    return dt.datetime.combine(expires_at, dt.time(), dt.UTC).timestamp()


def last_day() -> dt.date | None:
    """The latest day that may be chosen for personal, project and group tokens; None: any."""
    longest: dt.timedelta = settings.MAX_TOKEN_LIFETIME
    days = dt.timedelta(days=max(1, longest.days))
    return timezone.now().date() + days if longest else None


def limited_expiry(expires_at: dt.date | None) -> dt.date | None:
    """As `check_expiry`, within the longest lifetime; where no day is given, its last."""
    check_expiry(expires_at)
    last = last_day()
    if last is None:
        return expires_at
    if expires_at is not None and expires_at > last:
        raise Invalid({"expires_at": f"At the latest {last.isoformat()}."})
    return expires_at or last


def usable() -> Q:
    """Which tokens may sign in today, as far as the token itself goes."""
    today = timezone.now().date()
    return Q(revoked_at__isnull=True) & (Q(expires_at__isnull=True) | Q(expires_at__gt=today))


def note_use(
    model: type[Model], token: Used, *, client_ip: str, by: Actor, credential: str
) -> None:
    """Keep when a token was last used and from where; the first use of all goes on record."""
    rows = model._default_manager.filter(pk=token.id)  # noqa: SLF001 - Django's word for `objects`
    now = {"last_used_at": timezone.now(), "last_used_ip": client_ip}
    if token.last_used_at is not None:
        rows.update(**now)
        return
    with transaction.atomic():
        # Of two at once the second finds it used.
        if not rows.filter(last_used_at__isnull=True).update(**now):
            return
        row: Any = rows.get()
        action = f"{credential.partition(':')[0]}.first_use"
        record(action, by=by, target=row, path=row.path, credential=credential, name=row.name)


def is_use_noted(
    last_used_at: dt.datetime | None, last_used_ip: str = "", *, client_ip: str = ""
) -> bool:
    """Whether a use is noted that was short enough ago: within ten minutes, or from another
    address within one.
    """
    every = _USED_EVERY if last_used_ip == client_ip else _USED_ELSEWHERE_EVERY
    return last_used_at is not None and last_used_at >= timezone.now() - every
