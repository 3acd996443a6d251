"""How often an ID token counts.

docker shows its password again for every image that it pushes, so an ID token that is the password
counts as often as that takes: `MOST_USES` times, until it ends. One that is exchanged counts once,
and never again. Either way it is of the one trust that it was shown to first. Why: decision 18.
"""

from __future__ import annotations

import datetime as dt

from django.db.models import F
from django.utils import timezone

from gitlab.trusted_issuers.models import IdTokenUse

MOST_USES = 500
_SWEPT_AT_ONCE = 100


class Replayed(Exception):
    """An ID token does not count any more; the message says why."""


def note(trust: int, digest: str, ends_at: float, *, exchange: bool) -> bool:
    """Note that an ID token is used; whether it is for the first time. Raises `Replayed`.

    `ends_at` is when the token itself ends, in seconds since the epoch.
    """
    now = timezone.now()
    use, is_first = IdTokenUse.objects.get_or_create(
        digest=digest,
        defaults={
            "trusted_issuer_id": trust,
            "exchanged_at": now if exchange else None,
            "ends_at": dt.datetime.fromtimestamp(ends_at, dt.UTC),
        },
    )
    if is_first:
        _sweep(now)
    else:
        _count(use, trust, exchange=exchange)
    return is_first


def _count(use: IdTokenUse, trust: int, *, exchange: bool) -> None:
    if exchange:
        raise Replayed("it was used before, so it can't be exchanged")
    mine = IdTokenUse.objects.filter(
        pk=use.pk, trusted_issuer_id=trust, exchanged_at=None, count__lt=MOST_USES
    )
    if not mine.update(count=F("count") + 1):
        raise Replayed("it was exchanged, used up, or used with another trust")


def _sweep(now: dt.datetime) -> None:
    """Forget some of the tokens that have ended by themselves."""
    ended = IdTokenUse.objects.filter(ends_at__lt=now).order_by("ends_at")
    pks = list(ended.values_list("pk", flat=True)[:_SWEPT_AT_ONCE])
    if pks:
        IdTokenUse.objects.filter(pk__in=pks).delete()
