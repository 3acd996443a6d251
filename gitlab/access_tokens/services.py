"""Creating, revoking and recognising tokens."""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from django.db import transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from gitlab.access_tokens.models import PersonalAccessToken, is_usable
from gitlab.accounts.rows import PERSON_COLUMNS, PersonRow
from gitlab.audit.services import record
from gitlab.principals import Person
from gitlab.refusals import Forbidden, Invalid, NotFound
from gitlab.server.databases import rows

PERSONAL_PREFIX = "glpat-"
_RANDOM_BYTES = 24
"""192 bits, 32 characters."""

SCOPES: dict[str, str] = {
    "api": "Everything that you may do.",
    "read_api": "Read everything that you may read, images included.",
    "read_user": "Read your own profile.",
    "read_registry": "Pull images.",
    "write_registry": "Push images.",
    "read_repository": "Reserved.",
    "write_repository": "Reserved.",
    "self_rotate": "Renew itself.",
    "sudo": "Act as anybody, for administrators.",
    "admin_mode": "Administer, for administrators.",
}
"""Every scope that can be stored, and what it is for."""

_ABILITIES: dict[str, frozenset[str]] = {
    "api": frozenset(["read", "create", "admin"]),
    "read_api": frozenset(["read"]),
    "read_registry": frozenset(["read"]),
    "write_registry": frozenset(["create"]),
}
ROTATED_FOR = dt.timedelta(days=7)
"""How long a token lasts that was rotated, unless somebody says otherwise: as in GitLab."""

_USED_EVERY = dt.timedelta(minutes=10)


class TokenRow(NamedTuple):
    """A personal access token with its owner, as every request for a registry token reads it."""

    id: int
    name: str
    scopes: list[str]
    expires_at: dt.date | None
    revoked_at: dt.datetime | None
    last_used_at: dt.datetime | None
    user_id: int
    username: str
    user_name: str
    user_state: str
    user_external: bool
    user_is_superuser: bool

    @property
    def owner(self) -> PersonRow:
        """Whose it is."""
        return PersonRow(*self[6:])

    @property
    def is_usable(self) -> bool:
        """Whether it may sign in today: neither revoked nor expired, its owner not blocked."""
        return is_usable(self.revoked_at, self.expires_at) and self.owner.is_active


_FIND = f"""
SELECT t.id, t.name, t.scopes, t.expires_at, t.revoked_at, t.last_used_at, {PERSON_COLUMNS}
FROM access_tokens_personalaccesstoken t JOIN accounts_user u ON u.id = t.user_id
WHERE t.digest = %s
"""


def registry_abilities(scopes: Iterable[str]) -> frozenset[str]:
    """What of ``read``, ``create`` and ``admin`` the scopes carry for images."""
    return frozenset().union(*(_ABILITIES.get(scope, frozenset()) for scope in scopes))


def digest_of(text: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(text.encode()).hexdigest()


def _new_text() -> str:
    return PERSONAL_PREFIX + secrets.token_urlsafe(_RANDOM_BYTES)


def looks_like_one(text: str) -> bool:
    """Whether `text` has the prefix of a token of ours."""
    return text.startswith(PERSONAL_PREFIX)


def create(
    user: Person,
    *,
    name: str,
    scopes: Sequence[str],
    expires_at: dt.date | None = None,
    description: str = "",
    by: Person | None = None,
    within: TokenRow | None = None,
) -> tuple[PersonalAccessToken, str]:
    """A new personal access token and its text, which nobody can show again.

    `by` is who makes it (default: the user); `within` is the token that they make it with: it makes
    none that may more, or lasts longer. Raises `Invalid` for ``name``, ``scopes``, ``expires_at``,
    ``description``; `Forbidden` where it is somebody else's and `by` does not administer.
    """
    by = by or user
    if by.pk != user.pk and not by.is_superuser:
        raise Forbidden("Only administrators make tokens for others.")
    name = name.strip()
    if not name or len(name) > 255:
        raise Invalid({"name": "A name of 1 to 255 characters."})
    if len(description) > 255:
        raise Invalid({"description": "At most 255 characters."})
    unknown = sorted(set(scopes) - set(SCOPES))
    if unknown or not scopes:
        raise Invalid({"scopes": f"At least one of {', '.join(SCOPES)}."})
    _check_expiry(expires_at)
    if within is not None:
        _check_within(within, scopes, expires_at)
    return _insert(
        user, by=by, name=name, scopes=scopes, expires_at=expires_at, description=description
    )


def _check_expiry(expires_at: dt.date | None) -> None:
    if expires_at is not None and expires_at <= timezone.now().date():
        raise Invalid({"expires_at": "A day in the future."})


def _check_within(within: TokenRow, scopes: Sequence[str], expires_at: dt.date | None) -> None:
    """What a token makes may no more than itself, and ends no later: a leak has an end."""
    more = sorted(set(scopes) - set(within.scopes))
    if more and "api" not in within.scopes:
        raise Invalid({"scopes": f"This token has not got {', '.join(more)} itself."})
    if {"sudo", "admin_mode"} & set(more):
        raise Invalid({"scopes": f"This token has not got {', '.join(more)} itself."})
    end = within.expires_at
    if end is not None and (expires_at is None or expires_at > end):
        raise Invalid({"expires_at": f"Not after the token that makes it: {end.isoformat()}."})


def _insert(
    user: Person, *, by: Person, scopes: Sequence[str], action: str = "create", **columns: Any
) -> tuple[PersonalAccessToken, str]:
    text = _new_text()
    with transaction.atomic():
        token = PersonalAccessToken.objects.create(
            user_id=user.pk,
            scopes=[scope for scope in SCOPES if scope in set(scopes)],
            digest=digest_of(text),
            **columns,
        )
        path = user.username
        record(f"access_token.{action}", by=by, target=token, path=path, scopes=token.scopes)
    return token, text


@transaction.atomic
def rotate(
    by: Person, token: PersonalAccessToken, *, expires_at: dt.date | None = None
) -> tuple[PersonalAccessToken, str]:
    """Another token in the place of this one, which is revoked; and its text.

    It ends in a week unless `expires_at` says when. Raises `NotFound` for somebody else's where
    `by` does not administer, `Invalid` for ``expires_at`` and for one that is not usable.
    """
    _require(by, token)
    _check_expiry(expires_at)
    today = timezone.now().date()
    usable = PersonalAccessToken.objects.filter(pk=token.pk).filter(_usable(today))
    if not usable.update(revoked_at=timezone.now()):
        raise Invalid("The token is revoked or expired already.")
    return _insert(
        token.user,
        by=by,
        action="rotate",
        name=token.name,
        description=token.description,
        scopes=token.scopes,
        expires_at=expires_at or today + ROTATED_FOR,
    )


def _require(by: Person, token: PersonalAccessToken) -> None:
    if by.pk != token.user_id and not by.is_superuser:
        raise NotFound("no such token")


@transaction.atomic
def revoke(by: Person, token: PersonalAccessToken) -> PersonalAccessToken:
    """Refuse a token from now on. Twice is the same as once.

    Raises `NotFound` where it is somebody else's and `by` does not administer.
    """
    _require(by, token)
    changed = PersonalAccessToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(
        revoked_at=timezone.now()
    )
    if changed:
        record("access_token.revoke", by=by, target=token, path=token.user.username)
    token.refresh_from_db()
    return token


def get_for(user: Person, pk: int) -> PersonalAccessToken:
    """A token of one's own. Raises `NotFound`."""
    token = (
        PersonalAccessToken.objects.select_related("user").filter(pk=pk, user_id=user.pk).first()
    )
    if token is None:
        raise NotFound("no such token")
    return token


def tokens_of(user: Person, *, active: bool | None = None) -> QuerySet[PersonalAccessToken]:
    """Somebody's tokens, the newest first; `active` picks the usable ones or the others."""
    found = PersonalAccessToken.objects.filter(user_id=user.pk).order_by("-created_at")
    if active is None:
        return found
    return having_state(found, active=active)


def having_state(
    rows: QuerySet[PersonalAccessToken], *, active: bool
) -> QuerySet[PersonalAccessToken]:
    """Those of `rows` that are usable, or the others."""
    usable = _usable(timezone.now().date())
    return rows.filter(usable if active else ~usable)


def _usable(today: dt.date) -> Q:
    return Q(revoked_at__isnull=True) & (Q(expires_at__isnull=True) | Q(expires_at__gt=today))


def find(text: str) -> TokenRow | None:
    """The token with this text and its owner, in one query, whether it is usable or not.

    Every request of docker for a token comes through here. Written out, since composing the query
    costs five times as much as running it.
    """
    found = rows.read(TokenRow, _FIND, [digest_of(text)])
    return found[0] if found else None


def authenticate(text: str) -> TokenRow | None:
    """The token with this text if it may sign in now: neither expired nor revoked nor blocked."""
    token = find(text)
    if token is None or not token.is_usable:
        return None
    note_use(token)
    return token


def note_use(token: TokenRow) -> None:
    """Keep when the token was last used, written at most every ten minutes."""
    now = timezone.now()
    if token.last_used_at is None or token.last_used_at < now - _USED_EVERY:
        PersonalAccessToken.objects.filter(pk=token.id).update(last_used_at=now)
