"""Signing: from a decision to a token.

Claims as GitLab issues them, so that docker's own registry accepts the token unchanged. Source:
Docker Registry v2 authentication, "Token Authentication Implementation"; RFC 7519.
"""

from __future__ import annotations

import functools
import json
import os
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jwt
from django.conf import settings

from tokens.access import Access
from tokens.keys import SigningKey, signing_key

SERVICE = "container_registry"
"""The audience of every token, and the service that a registry names in its challenge."""

MAX_TOKEN_LENGTH = 6 * 1024
"""In characters. Proxies and application servers refuse header fields above 8 KiB."""

_NOT_BEFORE_LEEWAY = 5
_MOST_USERS = 1000
"""Signed claims of users that a process keeps, half a megabyte."""


class TokenTooLong(ValueError):
    """So many scopes were granted that no proxy would carry the token."""


@dataclass(frozen=True)
class IssuedToken:
    """A signed token; times in whole seconds."""

    text: str
    issued_at: int
    expires_in: int


@functools.lru_cache(maxsize=4)
def _load(key_path: str, certificate_path: str, *changed: int) -> SigningKey:
    return signing_key(Path(key_path).read_bytes(), Path(certificate_path).read_bytes())


def current_key() -> SigningKey:
    """The key that this node signs with, read anew when its file or the certificates' changes.

    Raises `OSError` or `UnusableKey`.
    """
    key_path, certificate_path = settings.TOKENS_KEY_PATH, settings.TOKENS_CERTIFICATE_PATH
    key, certificate = os.stat(key_path), os.stat(certificate_path)
    return _load(
        str(key_path), str(certificate_path),
        key.st_mtime_ns, key.st_size, certificate.st_mtime_ns, certificate.st_size,
    )  # fmt: skip


@dataclass(frozen=True)
class Bearer:
    """Whom a token is for, as it says.

    `subject` is the name of the person or token; a token without one is GitLab's own. `user` is
    what the registry sends back, unread, with its events: it travels as a token of its own in the
    claim ``user``. `credential` names what was shown for it, so that both can end together.
    """

    subject: str | None = None
    auth_type: str | None = None
    user: Mapping[str, Any] | None = None
    credential: str = ""


def issue(  # noqa: PLR0913 - one for each claim
    access: Iterable[Access],
    *,
    subject: str | None = None,
    auth_type: str | None = None,
    user: Mapping[str, Any] | None = None,
    credential: str = "",
    decided_at: float | None = None,
    lifetime: int | None = None,
    ends_at: float | None = None,
    refusals: Mapping[str, str] | None = None,
) -> IssuedToken:
    """A token that grants `access` to a `Bearer`. `lifetime` is in seconds (default: the setting).

    It ends at `ends_at` where that comes sooner, in seconds since the epoch.

    `decided_at` is the moment before anything was asked that `access` follows from, in seconds
    since the epoch (default: now). The claim ``decided_at`` says it to the millisecond: what was
    revoked later than that the token knows nothing of.

    `refusals` say in words why a name is not in `access`: where there is room, the claim of that
    name tells it to the registry, which tells it to the client. Nothing is decided by it.

    The certificate travels along (``x5c``) where there is room for it: who knows the key's id has
    no need of it. Raises `TokenTooLong`.
    """
    key = current_key()
    decided_at = time.time() if decided_at is None else decided_at
    now = int(time.time())
    lifetime = settings.TOKENS_LIFETIME if lifetime is None else lifetime
    if ends_at is not None:
        lifetime = max(0, min(lifetime, int(ends_at) - now))
    bearer = Bearer(subject, auth_type, user, credential)
    claims = _claims(access, bearer, key, now, lifetime, decided_at)
    text = _sign(
        claims | ({"refusals": dict(refusals)} if refusals else {}), key, with_certificate=True
    )
    if len(text) > MAX_TOKEN_LENGTH:
        text = _sign(claims, key)
    if len(text) > MAX_TOKEN_LENGTH:
        raise TokenTooLong(
            f"the token would be {len(text)} characters long, at most {MAX_TOKEN_LENGTH} pass"
            " through proxies: ask for fewer scopes at once"
        )
    return IssuedToken(text, now, lifetime)


def fitting(access: Sequence[Access], bearer: Bearer) -> list[Access]:
    """The first of `access`, as many as fit into one token."""
    key = current_key()
    count = len(access)
    while count and _length(access[:count], bearer, key) > MAX_TOKEN_LENGTH:
        count -= 1
    return list(access[:count])


def _claims(
    access: Iterable[Access],
    bearer: Bearer,
    key: SigningKey,
    now: int,
    lifetime: int,
    decided_at: float,
) -> dict[str, Any]:
    claims: dict[str, Any] = {
        "iss": settings.TOKENS_ISSUER,
        "aud": SERVICE,
        "iat": now,
        "nbf": now - _NOT_BEFORE_LEEWAY,
        "exp": now + lifetime,
        "jti": str(uuid.uuid4()),
        "access": [entry.as_claim() for entry in access],
        "decided_at": int(decided_at * 1000),
    }
    if bearer.subject is not None:
        claims["sub"] = bearer.subject
    if bearer.auth_type is not None:
        claims["auth_type"] = bearer.auth_type
    if bearer.user is not None:
        claims["user"] = _signed_user(json.dumps(dict(bearer.user)), key)
    if bearer.credential:
        claims["credential"] = bearer.credential
    return claims


def _length(access: Sequence[Access], bearer: Bearer, key: SigningKey) -> int:
    """How long a token without its certificate is, in characters."""
    now = int(time.time())
    claims = _claims(access, bearer, key, now, settings.TOKENS_LIFETIME, now)
    return _encoded(_json_length(claims)) + _length_around(key)


@functools.lru_cache(maxsize=4)
def _length_around(key: SigningKey) -> int:
    """How long everything but its claims is in a token without its certificate."""
    headers = {"alg": key.algorithm, "kid": key.key_id, "typ": "JWT"}
    return _encoded(_json_length(headers)) + _encoded(key.signature_length) + 2


def _json_length(part: dict[str, Any]) -> int:
    return len(json.dumps(part, separators=(",", ":")))


def _encoded(length: int) -> int:
    """How many characters of Base64 so many bytes are, without padding."""
    return -(-length * 4 // 3)


@functools.lru_cache(maxsize=_MOST_USERS)
def _signed_user(user: str, key: SigningKey) -> str:
    """The claim ``user`` for a JSON document. It says nothing of time, so it is signed once."""
    return _sign({"user_info": json.loads(user)}, key)


def _sign(claims: dict[str, Any], key: SigningKey, *, with_certificate: bool = False) -> str:
    headers: dict[str, Any] = {"kid": key.key_id}
    if with_certificate:
        headers["x5c"] = list(key.x5c)
    return jwt.encode(claims, key.private, algorithm=key.algorithm, headers=headers)
