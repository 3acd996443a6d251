"""Creating, revoking and recognising tokens."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Any, NamedTuple

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from gitlab.access_tokens import checks, credentials, rotation, token_text
from gitlab.access_tokens.checks import check_name, check_scopes, last_day, limited_expiry, usable
from gitlab.access_tokens.models import PersonalAccessToken, is_usable
from gitlab.access_tokens.token_text import Prefix, digest_of
from gitlab.accounts import bots, dormancy
from gitlab.accounts.rows import PERSON_COLUMNS, PersonRow
from gitlab.audit.services import record
from gitlab.principals import Person
from gitlab.refusals import Forbidden, Invalid, NotFound, TooMany
from gitlab.revocations import services as revocations
from gitlab.server.databases import rows

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

_FOR_ADMINISTRATORS = frozenset(["sudo", "admin_mode"])

ROTATED_FOR = dt.timedelta(days=7)
"""How long a token lasts that was rotated, unless somebody says otherwise: as in GitLab."""


class TokenRow(NamedTuple):
    """A personal access token with its owner, as every request for a registry token reads it."""

    id: int
    name: str
    scopes: list[str]
    expires_at: dt.date | None
    revoked_at: dt.datetime | None
    last_used_at: dt.datetime | None
    last_used_ip: str
    rotated_at: dt.datetime | None
    reused_at: dt.datetime | None
    user_id: int
    username: str
    user_name: str
    user_state: str
    user_external: bool
    user_is_superuser: bool
    user_type: str

    @property
    def owner(self) -> PersonRow:
        """Whose it is."""
        return PersonRow(*self[9:])

    @property
    def is_usable(self) -> bool:
        """Whether it may sign in today: neither revoked nor expired, its owner not blocked."""
        return is_usable(self.revoked_at, self.expires_at) and self.owner.is_active


_FIND = f"""
SELECT t.id, t.name, t.scopes, t.expires_at, t.revoked_at, t.last_used_at,
t.last_used_ip, t.rotated_at, t.reused_at, {PERSON_COLUMNS}
FROM access_tokens_personalaccesstoken t JOIN accounts_user u ON u.id = t.user_id
WHERE t.digest = %s
"""


def looks_like_one(text: str) -> bool:
    """Whether `text` has the prefix of a token of ours."""
    return token_text.is_of(Prefix.PERSONAL, text)


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
    ``description``; `TooMany`; `Forbidden` where it is another's and `by` does not administer.
    """
    by = by or user
    if user.is_bot or by.is_bot:
        raise Forbidden("A bot makes no tokens, and has the one that it was made for.")
    if by.pk != user.pk and not by.is_superuser:
        raise Forbidden("Only administrators make tokens for others.")
    name = check_name(name)
    if len(description) > 255:
        raise Invalid({"description": "At most 255 characters."})
    scopes = check_scopes(scopes, SCOPES)
    expires_at = limited_expiry(expires_at)
    if within is not None:
        _check_within(within, scopes, expires_at)
    if not user.is_superuser and not _FOR_ADMINISTRATORS.isdisjoint(scopes):
        raise Invalid({"scopes": f"For administrators: {', '.join(sorted(_FOR_ADMINISTRATORS))}."})
    _refuse_one_more(user)
    return insert(
        user, by=by, name=name, scopes=scopes, expires_at=expires_at, description=description
    )


def _refuse_one_more(user: Person) -> None:
    """Raises `TooMany` where somebody has as many usable tokens as anybody may have."""
    most = settings.TOKENS_PER_PERSON
    here = PersonalAccessToken.objects.filter(usable(), user_id=user.pk)
    if most and here[:most].count() >= most:
        raise TooMany(
            {"__all__": f"There are {most} tokens that work, the most that one may have."}
        )


def _check_within(within: TokenRow, scopes: Sequence[str], expires_at: dt.date | None) -> None:
    """What a token makes may no more than itself, and ends no later: a leak has an end."""
    more = sorted(set(scopes) - set(within.scopes))
    if more and "api" not in within.scopes:
        raise Invalid({"scopes": f"This token has not got {', '.join(more)} itself."})
    if _FOR_ADMINISTRATORS & set(more):
        raise Invalid({"scopes": f"This token has not got {', '.join(more)} itself."})
    end = within.expires_at
    if end is not None and (expires_at is None or expires_at > end):
        raise Invalid({"expires_at": f"Not after the token that makes it: {end.isoformat()}."})


def insert(
    user: Person, *, by: Person, scopes: Sequence[str], action: str = "create", **columns: Any
) -> tuple[PersonalAccessToken, str]:
    """Write a token that has been looked at; the row and its text."""
    text = token_text.generate(Prefix.PERSONAL)
    level = columns.get("access_level")
    with transaction.atomic():
        token = PersonalAccessToken.objects.create(
            user_id=user.pk,
            scopes=list(scopes),
            digest=digest_of(text),
            **columns,
        )
        path = token.owner.full_path if token.owner is not None else user.username
        details = {"scopes": token.scopes} | ({"level": level} if level else {})
        record(f"access_token.{action}", by=by, target=token, path=path, **details)
    return token, text


def rotate(
    by: Person, token: PersonalAccessToken, *, expires_at: dt.date | None = None
) -> tuple[PersonalAccessToken, str]:
    """Another token in the place of this one, which is revoked; and its text.

    It ends in a week unless `expires_at` says when. Raises `NotFound` for somebody else's where
    `by` does not administer, `Invalid` for ``expires_at`` and for one that is not usable.
    """
    _require(by, token)
    return replace(by, token, expires_at=expires_at)


def replace(
    by: Person, token: PersonalAccessToken, *, expires_at: dt.date | None = None
) -> tuple[PersonalAccessToken, str]:
    """As `rotate`, where it is known that `by` may."""
    if token.rotated_at is not None:
        rotation.note_reuse(token.pk)
        raise Invalid("The token is revoked or expired already, and so is all that came of it.")
    if expires_at is None:
        week = timezone.now().date() + ROTATED_FOR
        expires_at = min(week, last_day() or week)
    expires_at = limited_expiry(expires_at)
    with transaction.atomic():
        rotation.hold_family(token)
        now = timezone.now()
        still = PersonalAccessToken.objects.filter(usable(), pk=token.pk)
        if not still.update(revoked_at=now, rotated_at=now):
            raise Invalid("The token is revoked or expired already.")
        revocations.end_tokens(credential=credentials.of_token(token.pk))
        if token.owner is not None:
            token.user.memberships.update(expires_at=expires_at)
        return insert(
            token.user,
            by=by,
            action="rotate",
            name=token.name,
            description=token.description,
            scopes=token.scopes,
            expires_at=expires_at,
            project=token.project,
            namespace=token.namespace,
            access_level=token.access_level,
            family_id=token.family_id or token.pk,
        )


def _require(by: Person, token: PersonalAccessToken) -> None:
    if by.pk != token.user_id and not by.is_superuser:
        raise NotFound("no such token")


def revoke(by: Person, token: PersonalAccessToken) -> PersonalAccessToken:
    """Refuse a token from now on. Twice is the same as once.

    Raises `NotFound` where it is somebody else's and `by` does not administer.
    """
    _require(by, token)
    return end(by, token)


@transaction.atomic
def end(by: Person, token: PersonalAccessToken) -> PersonalAccessToken:
    """As `revoke`, where it is known that `by` may. A bot ends with its token."""
    changed = PersonalAccessToken.objects.filter(pk=token.pk, revoked_at__isnull=True).update(
        revoked_at=timezone.now()
    )
    if changed:
        record("access_token.revoke", by=by, target=token, path=token.path)
        revocations.end_tokens(credential=credentials.of_token(token.pk))
        if token.owner is not None:
            bots.end(token.user_id)
    token.refresh_from_db(fields=["revoked_at"])
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
    return rows.filter(usable() if active else ~usable())


def find(text: str) -> TokenRow | None:
    """The token with this text and its owner, in one query, whether it is usable or not.

    Every request of docker for a token comes through here. Written out, since composing the query
    costs five times as much as running it.
    """
    if not token_text.may_exist(text):
        return None
    found = rows.read(TokenRow, _FIND, [digest_of(text)])
    return found[0] if found else None


def authenticate(text: str, *, client_ip: str = "") -> TokenRow | None:
    """The token with this text if it may sign in now: neither expired nor revoked nor blocked."""
    token = find(text)
    if token is None:
        return None
    if not token.is_usable:
        note_refused(token)
        return None
    note_use(token, client_ip)
    return token


def place_of(token: TokenRow) -> tuple[int | None, int | None]:
    """The ids of the project, or of the group, whose access token it is."""
    rows = PersonalAccessToken.objects.filter(pk=token.id)
    return rows.values_list("project_id", "namespace_id").first() or (None, None)


def note_use(token: TokenRow, client_ip: str) -> None:
    """Keep when the token was last used and from where: see `checks.is_use_noted`."""
    if not checks.is_use_noted(token.last_used_at, token.last_used_ip, client_ip=client_ip):
        checks.note_use(
            PersonalAccessToken,
            token,
            client_ip=client_ip,
            by=token.owner,
            credential=credentials.of_token(token.id),
        )
        dormancy.note(token.owner.pk)


def note_refused(token: TokenRow) -> None:
    """Somebody has used a token that is not usable: one that was rotated away is a thief's, or
    its successor is.
    """
    if token.rotated_at is not None and token.reused_at is None:
        rotation.note_reuse(token.id)
