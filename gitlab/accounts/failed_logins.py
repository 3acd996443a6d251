"""Who fails too often waits. Counted for each address and for each name, in the database, so that
several processes count together and none forgets.

Only a wrong password or an unknown token counts. A token that is expired, or a CI job's, is a
mistake and not a guess. A token has no name to count for: it works with any.
"""

from __future__ import annotations

import datetime as dt
import ipaddress

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from gitlab.accounts.models import FailedLogin

WINDOW = dt.timedelta(minutes=10)
LONGEST_WAIT = 60
"""Seconds that anybody is told to wait. Who comes back too early is told again."""


class TooManyFailedLogins(Exception):
    """Refused without looking at the password; `retry_after` is in seconds, 1 to 60."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many failed logins. Try again in {retry_after} seconds.")
        self.retry_after = retry_after


def _source(address: str) -> str:
    """The address to count for: an IPv6 customer has 2**64 of them, so the /64 counts."""
    try:
        known = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if known.version == 6:
        return str(ipaddress.ip_network((known, 64), strict=False))
    return str(known)


def _name(login: str) -> str:
    return login.strip().lower()[:150]


def check(address: str, login: str) -> None:
    """Raises `TooManyFailedLogins` where the address or the name has had its failures."""
    limit: int = settings.FAILED_LOGIN_LIMIT
    if not limit:
        return
    source, name = _source(address), _name(login)
    now = timezone.now()
    where = Q(pk__in=[])
    where |= Q(address=source) if source else Q(pk__in=[])
    where |= Q(username=name) if name else Q(pk__in=[])
    rows = (
        FailedLogin.objects.filter(where, at__gt=now - WINDOW)
        .order_by("-at")
        .values_list("address", "username", "at")[: 2 * limit]
    )
    by_address = [at for row_address, _, at in rows if source and row_address == source]
    by_name = [at for _, row_name, at in rows if name and row_name == name]
    waits = [
        (times[limit - 1] + WINDOW - now).total_seconds()
        for times in (by_address, by_name)
        if len(times) >= limit
    ]
    if waits:
        raise TooManyFailedLogins(max(1, min(LONGEST_WAIT, int(max(waits)) + 1)))


def note(address: str, login: str = "") -> None:
    """Count one failure. `login` stays empty for a token."""
    if settings.FAILED_LOGIN_LIMIT:
        FailedLogin.objects.create(address=_source(address), username=_name(login))


def reset(address: str, login: str) -> None:
    """Forget the failures of a name that has now signed in from this address.

    Those of other names stay: an account of one's own must not buy guesses at others'.
    """
    name = _name(login)
    if settings.FAILED_LOGIN_LIMIT and name:
        rows = FailedLogin.objects.filter(username=name)
        if rows.exists():
            rows.delete()


def sweep() -> int:
    """Remove what no longer counts. Answers how many rows went."""
    return FailedLogin.objects.filter(at__lte=timezone.now() - WINDOW).delete()[0]
