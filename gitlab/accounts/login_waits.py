"""Who has to wait after failed logins, for administrators: to see it, and to end it.

The count itself is in the limiter, by digests that nobody can read back. What a refusal says is
noted here, once for as long as the wait that it names.
"""

from __future__ import annotations

import datetime as dt

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from gitlab.accounts.models import LoginWait, User
from gitlab.audit.services import record
from gitlab.principals import Person
from gitlab.refusals import Forbidden

MOST = 50
"""Addresses at which one person is noted to wait."""

_SWEPT = 1000


def note(user: User, address: str, seconds: float) -> None:
    """`user` was refused at `address`, for so many seconds. Refusals meanwhile cost no write."""
    now = timezone.now()
    waiting = LoginWait.objects.filter(user=user, until__gt=now)
    if waiting.filter(address=address).exists() or waiting.count() >= MOST:
        return
    until = now + dt.timedelta(seconds=seconds)
    LoginWait.objects.update_or_create(user=user, address=address[:64], defaults={"until": until})


@transaction.atomic
def lift(user: User, *, by: Person | None) -> None:
    """Let somebody begin anew, at every address: nothing that failed before counts against them.

    What an address has failed with other names stays counted. Raises `Forbidden`.
    """
    if by is not None and not (by.is_superuser and by.is_active):
        raise Forbidden("Only administrators may do this.")
    User.objects.filter(pk=user.pk).update(failed_logins_lifted=F("failed_logins_lifted") + 1)
    LoginWait.objects.filter(user=user).delete()
    record("user.lift_failed_logins", by=by, target=user)
    user.refresh_from_db(fields=["failed_logins_lifted"])


def sweep() -> int:
    """Remove what is over, a thousand at most; how many went."""
    over = LoginWait.objects.filter(until__lt=timezone.now()).order_by("until")
    pks = list(over.values_list("pk", flat=True)[:_SWEPT])
    return LoginWait.objects.filter(pk__in=pks).delete()[0]
