"""Who somebody is here whom a provider knows: found, linked, made, refused.

Each refusal reads alike on the page, so that nobody learns by it whose addresses are known here.
"""

from __future__ import annotations

import logging
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils import timezone

from gitlab.accounts import remembered_passwords, sessions
from gitlab.accounts import services as accounts
from gitlab.accounts.models import User
from gitlab.audit.services import record
from gitlab.identity_providers import memberships
from gitlab.identity_providers.models import Identity
from gitlab.identity_providers.profiles import Profile, ProviderRefused, Terms
from gitlab.namespaces.models import Route
from gitlab.namespaces.paths import check_segment, slug
from gitlab.principals import Person
from gitlab.refusals import Conflict, Forbidden, Invalid

log = logging.getLogger(__name__)

_MOST_NAMES = 100
"""How many names are tried for a new person."""


def admit(profile: Profile, terms: Terms) -> User:
    """The person whom a provider means, with what its groups give them. Raises `ProviderRefused`.

    Where the provider made the account and does not let them in any more, they are blocked here,
    and their tokens end; from whoever else it takes what it has given.
    """
    identity = find(profile)
    if not terms.let_in(profile):
        if identity is not None:
            gone(identity)
        raise ProviderRefused("neither the domain nor the groups are among those that come in")
    if identity is not None and identity.user.is_blocked:
        raise ProviderRefused("the account is blocked")
    try:
        with transaction.atomic():
            return _admit(profile, terms)
    except IntegrityError as error:
        raise ProviderRefused("somebody came by the same identity at once") from error


def find(profile: Profile) -> Identity | None:
    """Who that is, where they came before."""
    rows = Identity.objects.select_related("user")
    return rows.filter(**_key(profile), subject=profile.subject).first()


def _key(profile: Profile) -> dict[str, str]:
    return {"provider": profile.provider, "issuer": profile.issuer}


def _admit(profile: Profile, terms: Terms) -> User:
    rows = Identity.objects.select_for_update(of=("self",)).select_related("user")
    identity = rows.filter(**_key(profile), subject=profile.subject).first()
    if identity is None:
        identity = _link(profile, terms) or _make(profile, terms)
    update(identity, profile, terms)
    return User.objects.get(pk=identity.user_id)


def update(identity: Identity, profile: Profile, terms: Terms) -> None:
    """Let somebody have what the provider gives them now, and no more. Within a transaction."""
    memberships.apply(identity, memberships.wanted(terms.memberships, profile.groups))
    if terms.admin_group or identity.made_admin:
        wants = bool(terms.admin_group) and terms.admin_group in profile.groups
        _set_administrator(identity, wants)
    identity.seen_at = timezone.now()
    identity.save(update_fields=["seen_at", "made_admin"])


def _link(profile: Profile, terms: Terms) -> Identity | None:
    """The identity of somebody who is here already, by a proven address. None where nobody is.

    Whom the provider knew by another subject is not found again: addresses are given to others.
    """
    email = profile.email.lower()
    user = User.objects.filter(email=email, user_type=User.Type.HUMAN).first() if email else None
    if user is None:
        return None
    if not terms.link_by_email:
        raise ProviderRefused("somebody has the address, and link_by_email is off")
    if user.is_superuser or user.is_blocked:
        raise ProviderRefused("who has the address administers, or is blocked")
    if user.email_claimed:
        # Else whoever types somebody's address first is who that person becomes, with their groups.
        raise ProviderRefused("who has the address has typed it, and nothing has proven it")
    if user.identities.filter(**_key(profile)).exists():
        raise ProviderRefused("who has the address is another subject of this provider")
    return insert(user, profile, made_user=False)


def _make(profile: Profile, terms: Terms) -> Identity:
    if not terms.create_users:
        raise ProviderRefused("there is no account, and create_users is off")
    if not profile.email:
        raise ProviderRefused("there is no account, and no address that is proven")
    try:
        user = accounts.create_user(
            username=free_name(profile), email=profile.email, name=profile.name
        )
    except ValidationError as error:
        raise ProviderRefused(f"no account can be made: {'; '.join(error.messages)}") from error
    return insert(user, profile, made_user=True)


def insert(user: User, profile: Profile, *, made_user: bool, by: Person | None = None) -> Identity:
    """Let a provider's subject be `user` from now on: by its word alone, or `by` themselves."""
    identity = Identity.objects.create(
        user=user, **_key(profile), subject=profile.subject, made_user=made_user
    )
    record("identity.link", by=by, target=user, provider=profile.provider, made=made_user)
    return identity


def free_name(profile: Profile) -> str:
    """A user name that nobody has, made of what the provider calls them.

    Raises `ProviderRefused` where a hundred like it are taken.
    """
    wish = profile.username.partition("@")[0] or profile.email.partition("@")[0] or profile.name
    base = slug(wish)[:100] or "user"
    for number in range(1, _MOST_NAMES):
        name = base if number == 1 else f"{base}{number}"
        if _is_free(name):
            return name
    raise ProviderRefused(f"{_MOST_NAMES} names like {base} are taken")


def _is_free(name: str) -> bool:
    try:
        check_segment(name, at_top=True)
    except Invalid:
        return False
    taken = Route.objects.filter(full_path=name).exists()
    return not taken and not User.objects.filter(username=name).exists()


def _set_administrator(identity: Identity, wants: bool) -> None:
    """Make somebody an administrator, or no longer whom the provider has made one."""
    if wants and not identity.user.is_superuser:
        accounts.set_administrator(identity.user, is_administrator=True, by=None)
        identity.made_admin = True
    elif not wants and identity.made_admin:
        try:
            with transaction.atomic():
                accounts.set_administrator(identity.user, is_administrator=False, by=None)
        except Invalid:
            log.warning("%s stays: the last administrator", identity.user.username)
            return
        identity.made_admin = False


@transaction.atomic
def gone(identity: Identity) -> None:
    """The provider does not know somebody any more, or does not let them in.

    What it gave goes. Whose account it made is blocked, and so are their tokens.
    """
    identity = Identity.objects.select_for_update(of=("self",)).select_related("user").get(
        pk=identity.pk
    )  # fmt: skip
    remembered_passwords.forget(identity.user)
    memberships.apply(identity, {})
    if identity.made_admin:
        _set_administrator(identity, wants=False)
        identity.save(update_fields=["made_admin"])
    if not identity.made_user or identity.user.is_blocked:
        return
    _end(identity, accounts.block)


@transaction.atomic
def unlink(identity: Identity, *, by: Person) -> None:
    """Let a provider's subject be nobody here any more, and end what the provider gave.

    The account stays. Raises `Forbidden`.
    """
    if not (by.is_superuser and by.is_active):
        raise Forbidden("Only administrators may do this.")
    end(identity, by=by)


def end(identity: Identity, *, by: Person, keep: str | None = None) -> None:
    """The same, whoever may. Within a transaction; the session of the key `keep` goes on."""
    memberships.apply(identity, {})
    if identity.made_admin:
        _set_administrator(identity, wants=False)
    record("identity.unlink", by=by, target=identity.user, provider=identity.provider)
    remembered_passwords.forget(identity.user)
    sessions.end_all(identity.user, by=by, keep=keep, note=False)
    identity.delete()


def rest(identity: Identity) -> None:
    """Let somebody rest whose account the provider made, and who does not come by it any more."""
    _end(identity, accounts.deactivate)


def _end(identity: Identity, how: Any) -> None:
    user = User.objects.get(pk=identity.user_id)
    try:
        with transaction.atomic():
            how(user, by=None)
            record("identity.gone", by=None, target=user, provider=identity.provider)
    except (Invalid, Conflict, Forbidden) as error:
        log.warning("%s is gone at %s and stays: %s", user.username, identity.provider, error)
