"""Signing: from a decision to a token.

Claims as GitLab issues them, so that docker's own registry accepts the token unchanged. Source:
Docker Registry v2 authentication, "Token Authentication Implementation"; RFC 7519.
"""

from __future__ import annotations

import functools
import os
import time
import uuid
from collections.abc import Iterable, Mapping
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


def issue(
    access: Iterable[Access],
    *,
    subject: str | None = None,
    auth_type: str | None = None,
    user: Mapping[str, Any] | None = None,
    lifetime: int | None = None,
) -> IssuedToken:
    """A token that grants `access`.

    `subject` is the name of the person or token it is for; a token without one is GitLab's own.
    `user` is what the registry sends back, unread, with its events: it travels as a token of its
    own in the claim ``user``. `lifetime` is in seconds (default: the setting).

    Raises `TokenTooLong`.
    """
    key = current_key()
    now = int(time.time())
    lifetime = settings.TOKENS_LIFETIME if lifetime is None else lifetime
    claims: dict[str, Any] = {
        "iss": settings.TOKENS_ISSUER,
        "aud": SERVICE,
        "iat": now,
        "nbf": now - _NOT_BEFORE_LEEWAY,
        "exp": now + lifetime,
        "jti": str(uuid.uuid4()),
        "access": [entry.as_claim() for entry in access],
    }
    if subject is not None:
        claims["sub"] = subject
    if auth_type is not None:
        claims["auth_type"] = auth_type
    if user is not None:
        claims["user"] = _sign({"user_info": dict(user)}, key, with_certificate=False)
    text = _sign(claims, key)
    if len(text) > MAX_TOKEN_LENGTH:
        raise TokenTooLong(
            f"the token would be {len(text)} characters long, at most {MAX_TOKEN_LENGTH} pass"
            " through proxies: ask for fewer scopes at once"
        )
    return IssuedToken(text, now, lifetime)


def _sign(claims: dict[str, Any], key: SigningKey, *, with_certificate: bool = True) -> str:
    headers: dict[str, Any] = {"kid": key.key_id}
    if with_certificate:
        headers["x5c"] = list(key.x5c)
    return jwt.encode(claims, key.private, algorithm=key.algorithm, headers=headers)
