"""How many requests a minute one user, one token, one address may send: the limiter's kinds for
both sides.

Counted in Redis where ``berth.cache_url`` names one, for all nodes together, else in a file of the
state folder, for all processes of the node. Where neither answers, requests are let through, which
is logged and counted.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import NamedTuple

from django.conf import settings

from tokens import addresses
from tokens.limiter import Kind, Limiter, Rate, TooManyRequests
from tokens.limiter_stores import Charge

PERIOD = 60.0
"""Seconds for which the settings give a number, and the longest that anybody is told to wait."""

Key = tuple[str, str]
"""The kind (``user``, ``token``, ``address``: the settings' names) and who."""

_limiter = Limiter("RATE_LIMITS_STORES")


class Usage(NamedTuple):
    """How much of a limit is used: of the `limit` requests at once, `remaining` are left.

    In `reset` seconds all of them are there again. `kind` is the settings' name.
    """

    kind: str
    limit: int
    remaining: int
    reset: int


def take(*keys: Key) -> None:
    """Count a request for each of `keys` whose kind is limited. Raises `TooManyRequests`."""
    full = _limiter.take(_charges(keys))
    if full:
        raise TooManyRequests(max(full.values()))


def usage(*keys: Key) -> Usage | None:
    """Of the limits that hold for `keys` the one of which least is left; None without a limit."""
    return min(
        (_used(charge, wait) for charge, wait in _limiter.quiet_in(_charges(keys)).items()),
        key=lambda used: used.remaining / used.limit,
        default=None,
    )


def _charges(keys: Sequence[Key]) -> list[Charge]:
    limits: dict[str, int] = settings.RATE_LIMITS
    return [
        charge
        for kind, who in keys
        if who and limits.get(kind)
        for charge in Kind(kind, (Rate(limits[kind], PERIOD),)).of(who)
    ]


def _used(charge: Charge, wait: float) -> Usage:
    limit = round(charge.period / charge.step)
    used = min(limit, math.ceil(wait / charge.step - 0.001))
    return Usage(charge.kind.partition("/")[0], limit, limit - used, math.ceil(wait))


def of_user(name: str) -> Key:
    """The key of a user, by name: a registry knows no other."""
    return "user", name.lower()


def of_token(text: str) -> Key:
    """The key of a token, which is not kept."""
    return "token", hashlib.sha256(text.encode()).hexdigest()[:32]


def of_address(address: str) -> Key:
    """The key of an address: see `addresses.source`."""
    return "address", addresses.source(address)


def keys_of(*, user: str, token: str, address: str) -> Sequence[Key]:
    """What a request counts for: its user and token where there are any, else its address."""
    if user:
        return (of_user(user), of_token(token)) if token else (of_user(user),)
    return (of_address(address),)
