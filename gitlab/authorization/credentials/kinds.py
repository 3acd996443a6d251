"""The kinds of credential, in the order in which they are asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gitlab.audit import origin
from gitlab.authorization.credentials import (
    deploy_token,
    id_token,
    job_token,
    password,
    personal_access_token,
)
from tokens.authorizer import Identity, InvalidCredentials

Identify = Callable[..., Identity | None]

KINDS: tuple[Identify, ...] = (
    personal_access_token.identify,
    deploy_token.identify,
    job_token.identify,
    id_token.identify,
    # The last: whatever has no form of its own is a password.
    password.identify,
)


def identify(username: str, secret: str, **options: Any) -> Identity:
    """Who this is. `options` are those of each kind. Raises `LoginRefused`, `TooManyRequests`."""
    for kind in KINDS:
        identity = kind(username, secret, **options)
        if identity is not None:
            origin.acted_with(identity.credential or origin.PASSWORD)
            return identity
    raise InvalidCredentials("no such kind of credential")
