"""Who is still in a directory, and in which of its groups: looked at from time to time.

Who is gone is blocked, where the directory made the account, and loses what it gave. Where many are
gone at once, more likely the settings are wrong, or the directory is: then nobody is.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from gitlab.accounts.models import User
from gitlab.config.directory_tables import LDAP
from gitlab.identity_providers import services
from gitlab.identity_providers.directories import connections, entries
from gitlab.identity_providers.models import Identity
from gitlab.identity_providers.profiles import Profile, ProviderRefused, ProviderUnavailable

log = logging.getLogger(__name__)

MOST = 500
"""People of one directory at a time, those first who were looked at longest ago."""

AT_ONCE = 25
"""People to a session, whose time and bytes are bounded."""

FEW = 2
"""So many may always be gone at once; of more, at most half of those that are looked at."""


def sync() -> int:
    """Look at the people of each directory; how many. May run at any time and twice."""
    return sum(_sync(name, table) for name, table in settings.DIRECTORIES.items())


def _sync(name: str, table: LDAP) -> int:
    rows = Identity.objects.filter(provider=name, issuer=entries.issuer(table))
    rows = rows.exclude(user__state=User.State.BLOCKED).select_related("user")
    looked_at = list(rows.order_by("seen_at", "pk")[:MOST])
    found: dict[int, Profile | None] = {}
    try:
        for start in range(0, len(looked_at), AT_ONCE):
            found |= _look(name, table, looked_at[start : start + AT_ONCE])
    except ProviderUnavailable as error:
        log.warning("the directory %s does not answer: %s", name, error)
    missing = sum(profile is None for profile in found.values())
    if missing > max(FEW, len(found) // 2):
        log.error("%s of %s are gone at %s at once: nobody is blocked", missing, len(found), name)
        found = {pk: profile for pk, profile in found.items() if profile is not None}
    for identity in looked_at:
        if identity.pk in found:
            _apply(identity, found[identity.pk], table)
    return len(found)


def _look(name: str, table: LDAP, rows: Sequence[Identity]) -> dict[int, Profile | None]:
    """By an identity's id who that is now, None for who is gone. Raises `ProviderUnavailable`.

    Who can't be told from others, or is in too many groups, is left as they are.
    """
    found: dict[int, Profile | None] = {}
    with connections.session(name, table) as session:
        for identity in rows:
            try:
                entry = session.by_subject(identity.subject)
                found[identity.pk] = (
                    entries.profile(name, table, entry, session.groups(entry)) if entry else None
                )
            except ProviderRefused as error:
                log.warning("%s of %s is left alone: %s", identity.subject, name, error)
    return found


def _apply(identity: Identity, profile: Profile | None, table: LDAP) -> None:
    """Let somebody have what the directory gives them now."""
    terms = entries.terms(table)
    if profile is None or not terms.let_in(profile):
        services.gone(identity)
        # Looked at: the next time others come first.
        Identity.objects.filter(pk=identity.pk).update(seen_at=timezone.now())
        return
    with transaction.atomic():
        held = Identity.objects.select_for_update(of=("self",)).select_related("user")
        row = held.filter(pk=identity.pk).first()
        if row is not None:
            services.update(row, profile, terms)
