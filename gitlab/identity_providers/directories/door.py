"""What the accounts ask of directories: whose password this is, and who has theirs there.

Somebody who has an identity of a directory is looked up there by it, never by what they type; who
is nobody here is asked for in one directory after the other. A local account is no directory's:
one that merely has the name of an entry is not asked for there, and its password is not sent.
"""

from __future__ import annotations

import logging
from typing import NamedTuple

from django.conf import settings

from gitlab.accounts.directories import Answer, DirectoryAway
from gitlab.accounts.models import User
from gitlab.config.directory_tables import LDAP
from gitlab.identity_providers import services
from gitlab.identity_providers.directories import connections, entries
from gitlab.identity_providers.directories.entries import Entry
from gitlab.identity_providers.models import Identity
from gitlab.identity_providers.profiles import (
    LONGEST,
    Profile,
    ProviderRefused,
    ProviderUnavailable,
)

log = logging.getLogger(__name__)


def verify(login: str, password: str, *, user: User | None, looks: bool) -> Answer:
    """Whose password this is, of those that directories know; admitted, with what groups give.

    `user` is who has that name or address here. Without `looks` everything is asked but the
    password itself.
    """
    if not password or not login.strip() or len(login) > LONGEST:
        return Answer(None)
    away = False
    known = _identities(user)
    for name, table in settings.DIRECTORIES.items():
        asked = _Asked(login, user, known.get(name), elsewhere=bool(known) and name not in known)
        try:
            profile = _proven(name, table, asked, password, looks=looks)
            if profile is not None:
                return Answer(services.admit(profile, entries.terms(table)))
        except ProviderUnavailable as error:
            log.warning("the directory %s does not answer: %s", name, error)
            away = True
        except ProviderRefused as error:
            log.warning("nobody comes in by %s: %s", name, error)
    return Answer(None, away=away)


class _Asked(NamedTuple):
    """Who is asked for in a directory: `user` has that name or address here, if anybody has."""

    login: str
    user: User | None
    identity: Identity | None
    """Who they are for this directory."""
    elsewhere: bool
    """Another directory has their password."""

    def may_be(self, table: LDAP, entry: Entry) -> bool:
        """Whether an entry may speak for them, so that the password may be held against it."""
        if self.user is None or self.identity is not None:
            return True
        linked = table.link_by_email and not self.elsewhere and not self.user.is_superuser
        return linked and self.user.email in entry.emails


def _proven(name: str, table: LDAP, asked: _Asked, password: str, *, looks: bool) -> Profile | None:
    """Who has proven to be in a directory. Raises `ProviderRefused`, `ProviderUnavailable`.

    Also for whom it can't be is asked: so that the time says little of who has an account here.
    """
    identity = asked.identity
    with connections.session(name, table) as session:
        entry = session.by_subject(identity.subject) if identity else session.by_login(asked.login)
        if entry is not None:
            if not looks or not asked.may_be(table, entry) or not session.accepts(entry, password):
                return None
            groups = session.groups(entry)
            return entries.profile(name, table, entry, groups, login=asked.login)
    if identity is not None:
        services.gone(identity)
    return None


def _identities(user: User | None) -> dict[str, Identity]:
    """Who somebody is for directories, by their names."""
    if user is None:
        return {}
    rows = user.identities.filter(provider__in=settings.DIRECTORIES).select_related("user")
    tables = settings.DIRECTORIES
    return {row.provider: row for row in rows if row.issuer == entries.issuer(tables[row.provider])}


def label(user: User) -> str:
    """What the directory is called that has somebody's password; "" for who has none there."""
    known = _identities(user)
    found = [table.label or name for name, table in settings.DIRECTORIES.items() if name in known]
    return found[0] if found else ""


def is_password_of(user: User, password: str) -> bool:
    """Whether a directory takes this for the password of somebody who is signed in.

    Raises `DirectoryAway`.
    """
    for name, identity in _identities(user).items():
        try:
            with connections.session(name, settings.DIRECTORIES[name]) as session:
                entry = session.by_subject(identity.subject)
                if entry is not None and session.accepts(entry, password):
                    return True
        except ProviderUnavailable as error:
            log.warning("the directory %s does not answer: %s", name, error)
            raise DirectoryAway from error
        except ProviderRefused as error:
            log.warning("nobody is known by %s: %s", name, error)
    return False
