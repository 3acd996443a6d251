"""How many requests a minute one user, one token, one address may send: the limiter's kinds for
both sides.

Counted in Redis where ``berth.cache_url`` names one, for all nodes together, else in a file of the
state folder, for all processes of the node. Where neither answers, requests are let through, which
is logged and counted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from django.conf import settings

from tokens import addresses
from tokens.limiter import Kind, Limiter, Rate, TooManyRequests

PERIOD = 60.0
"""Seconds for which the settings give a number, and the longest that anybody is told to wait."""

Key = tuple[str, str]
"""The kind (``user``, ``token``, ``address``: the settings' names) and who."""

_limiter = Limiter("RATE_LIMITS_STORES")


def take(*keys: Key) -> None:
    """Count a request for each of `keys` whose kind is limited. Raises `TooManyRequests`."""
    limits: dict[str, int] = settings.RATE_LIMITS
    charges = [
        charge
        for kind, who in keys
        if who and limits.get(kind)
        for charge in Kind(kind, (Rate(limits[kind], PERIOD),)).of(who)
    ]
    full = _limiter.take(charges)
    if full:
        raise TooManyRequests(max(full.values()))


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
