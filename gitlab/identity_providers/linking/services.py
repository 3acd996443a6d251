"""The rules of linking by oneself.

A new way to sign in is linked by whoever has just come in, or confirmed that it is them; the last
one is never unlinked, nor is the provider that has made the account, which blocks it one day.
"""

from __future__ import annotations

from typing import NamedTuple

from django.conf import settings
from django.db import IntegrityError, transaction

from gitlab.accounts.factors import services as factors
from gitlab.accounts.models import User
from gitlab.config.identity_tables import OpenIDConnect
from gitlab.identity_providers import services
from gitlab.identity_providers.directories import entries
from gitlab.identity_providers.models import Identity
from gitlab.identity_providers.profiles import Profile, Terms
from gitlab.refusals import Conflict, Forbidden, NotFound


class Row(NamedTuple):
    """A provider, or a directory, and whether somebody is linked to it."""

    name: str
    label: str
    identity: Identity | None = None
    is_directory: bool = False
    why_not: str = ""
    """Why it can't be unlinked; "" where it can."""


def of(user: User) -> list[Row]:
    """All providers, and the directories that know somebody."""
    known = _live(user)
    rows = []
    for name, table in settings.IDENTITY_PROVIDERS.items():
        identity = known.get(("oidc", name))
        why = _why_not(user, identity, table.label or name) if identity else ""
        rows.append(Row(name, table.label or name, identity, why_not=why))
    for name, directory in settings.DIRECTORIES.items():
        identity = known.get(("ldap", name))
        if identity is not None:
            why = "You sign in by the password that you have there."
            rows.append(Row(name, directory.label or name, identity, True, why))
    return rows


def _live(user: User) -> dict[tuple[str, str], Identity]:
    """By kind and name the identities that somebody can sign in by: those of today's settings."""
    issuers: dict[tuple[str, str], tuple[str, str]] = {}
    for name, table in settings.IDENTITY_PROVIDERS.items():
        issuers[name, table.issuer or ""] = ("oidc", name)
    for name, directory in settings.DIRECTORIES.items():
        issuers[name, entries.issuer(directory)] = ("ldap", name)
    rows = Identity.objects.filter(user=user)
    return {
        issuers[row.provider, row.issuer]: row
        for row in rows
        if (row.provider, row.issuer) in issuers
    }


@transaction.atomic
def link(user: User, profile: Profile, terms: Terms) -> Identity:
    """Let a provider's subject be `user` from now on, with what its groups give. Twice is once.

    Raises `Conflict` where the subject is somebody else's or the user has another one there,
    `Forbidden` for whom the provider's terms don't let in.
    """
    if user.is_bot or not user.is_active or not terms.let_in(profile):
        raise Forbidden("It does not let you in here: ask an administrator.")
    User.objects.select_for_update().get(pk=user.pk)
    identity = services.find(profile)
    if identity is not None and identity.user_id != user.pk:
        raise Conflict({"__all__": "The account that you have there is somebody else's here."})
    if identity is None:
        identity = _insert(user, profile)
    services.update(identity, profile, terms)
    return identity


def _insert(user: User, profile: Profile) -> Identity:
    same = user.identities.filter(provider=profile.provider, issuer=profile.issuer)
    if same.exists():
        raise Conflict(
            {"__all__": "Another account that you have there is linked: unlink it first."}
        )
    try:
        with transaction.atomic():
            return services.insert(user, profile, made_user=False, by=user)
    except IntegrityError as error:
        raise Conflict({"__all__": "Somebody has linked it at the same moment."}) from error


@transaction.atomic
def unlink(user: User, pk: int, *, this_session: str | None) -> Identity:
    """Let a provider say no longer who `user` is.

    Sessions but `this_session` end, and what it gave. Raises `NotFound` for what is not theirs,
    `Conflict` where they could not sign in any more.
    """
    # Held, so that two at once don't each leave the other as the last way.
    user = User.objects.select_for_update().get(pk=user.pk)
    row = next((row for row in of(user) if row.identity and row.identity.pk == pk), None)
    if row is None or row.identity is None:
        raise NotFound
    if row.why_not:
        raise Conflict({"__all__": row.why_not})
    services.end(row.identity, by=user, keep=this_session)
    return row.identity


def provider(name: str) -> OpenIDConnect | None:
    """The settings of a provider; None where there is none of that name."""
    found: OpenIDConnect | None = settings.IDENTITY_PROVIDERS.get(name)
    return found


def _why_not(user: User, identity: Identity, label: str) -> str:
    if identity.made_user:
        return f"{label} has made your account, and blocks it once you are gone there."
    if not _has_another_way(user, identity):
        return "It is your only way to sign in: set a password or add a passkey first."
    return ""


def _has_another_way(user: User, identity: Identity) -> bool:
    if user.has_usable_password() or factors.has_passkey_alone(user):
        return True
    return any(other.pk != identity.pk for other in _live(user).values())
