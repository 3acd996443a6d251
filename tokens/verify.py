"""Checking: from a token's text to its claims, with certificates alone.

Only a key of the bundle counts, or one for which a certificate of the bundle vouches. What the
token's own header says about keys (``jwk``, ``jku``, ``x5u``) is never followed, and ``x5c`` counts
where its chain ends in the bundle.
Sources: RFC 7515, RFC 7519, RFC 8725.
"""

from __future__ import annotations

import base64
import functools
import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding
from django.conf import settings

from tokens import chains
from tokens.access import Access, InvalidScope
from tokens.issue import SERVICE
from tokens.keys import TrustedKey, trusted_keys

LONGEST_LEEWAY = 300
"""Seconds: the most that the setting for clocks that differ may be."""

MAX_LIFETIME = 24 * 3600
"""Seconds. A token that claims to live longer is not one of ours."""

MAX_TEXT_LENGTH = 16 * 1024
_FORM = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)")
_REQUIRED = ["exp", "nbf", "iat", "iss", "aud", "jti"]


class InvalidToken(Exception):
    """The token is not accepted. The message is for the log and holds nothing of the token."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What an accepted token says. Times in seconds since the epoch.

    `expires_at` is its own end, or that of its key's certificate where that comes first.
    """

    subject: str | None
    access: tuple[Access, ...]
    expires_at: float
    token_id: str
    user: str | None = None
    issued_at: float = 0.0
    refusals: Mapping[str, str] = field(default_factory=dict)
    """Why the token does not grant a name, in words for the person; not decided by."""
    credential: str = ""
    """What was shown for the token, by the name that GitLab's side has for it; "" without one."""
    decided_at: float = 0.0
    """What was revoked later the token knows nothing of. Else when it was issued."""
    auth_type: str = ""
    """GitLab's word for the kind of credential; "" where the token does not say it."""

    def grants(self, needed: Access) -> bool:
        """Whether one entry covers all of `needed`. Wildcards count in GitLab's own tokens only."""
        own = self.subject is None
        return any(entry.covers(needed, wildcards=own) for entry in self.access)


@functools.lru_cache(maxsize=8)
def _load_bundle(path: str, modified: int, size: int) -> dict[str, TrustedKey]:
    return trusted_keys(Path(path).read_bytes())


def trusted() -> dict[str, TrustedKey]:
    """The keys that this node accepts, read anew when the bundle's file changes.

    Raises `OSError` or `UnusableKey`.
    """
    path = str(settings.TOKENS_CERTIFICATE_BUNDLE)
    status = os.stat(path)
    return _load_bundle(path, status.st_mtime_ns, status.st_size)


def verify(text: str) -> Claims:
    """The claims of a token that is signed with a trusted key, in force, ours, and well formed.

    Raises `InvalidToken`.
    """
    if len(text) > MAX_TEXT_LENGTH:
        raise InvalidToken("too long")
    _refuse_other_spellings(text)
    try:
        header = jwt.get_unverified_header(text)
    except (jwt.InvalidTokenError, ValueError, RecursionError) as error:
        raise InvalidToken("malformed header") from error
    if "crit" in header or "b64" in header:
        raise InvalidToken("a critical extension that nobody here knows")
    key = _select(header, trusted())
    key_ends_at = key.not_after.timestamp()
    if key_ends_at + settings.TOKENS_LEEWAY <= time.time():
        raise InvalidToken("its key's certificate has ended")
    try:
        payload = jwt.decode(
            text,
            key.public,
            algorithms=list(key.algorithms),
            audience=SERVICE,
            issuer=settings.TOKENS_ISSUER,
            leeway=settings.TOKENS_LEEWAY,
            options={"require": _REQUIRED, "strict_aud": True},
        )
        _refuse_doubles(text)
    except (jwt.InvalidTokenError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InvalidToken(type(error).__name__) from error
    claims = _claims(payload)
    return replace(claims, expires_at=min(claims.expires_at, key_ends_at))


def _refuse_other_spellings(text: str) -> None:
    """Raises `InvalidToken` for what is not base64url without padding (RFC 7515, section 2).

    The signature does not cover its own spelling, and readers of base64 skip what they don't know:
    one token could be written in many ways, and would be counted and remembered as many.
    """
    matched = _FORM.fullmatch(text)
    if matched is None:
        raise InvalidToken("not three parts in base64url")
    try:
        signature = base64.urlsafe_b64decode(matched[1] + "=" * (-len(matched[1]) % 4))
    except ValueError as error:
        raise InvalidToken("malformed signature") from error
    if base64.urlsafe_b64encode(signature).decode().rstrip("=") != matched[1]:
        raise InvalidToken("malformed signature")


def _refuse_doubles(text: str) -> None:
    """Raises `ValueError` where a claim stands twice: readers disagree about which one counts."""

    def read(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) != len(pairs):
            raise ValueError("a claim stands twice")
        return found

    payload = text.split(".")[1]
    padded = payload + "=" * (-len(payload) % 4)
    json.loads(base64.urlsafe_b64decode(padded), object_pairs_hook=read)


def _select(header: dict[str, Any], keys: dict[str, TrustedKey]) -> TrustedKey:
    kid = header.get("kid")
    if isinstance(kid, str) and kid in keys:
        return keys[kid]
    if "x5c" in header:
        try:
            chain = chains.certificates(header["x5c"])
            leaf = chain[0].public_bytes(Encoding.DER)
            for key in keys.values():
                if key.certificate_der == leaf:
                    return key
            return chains.verified(chain, keys.values())
        except chains.BrokenChain as error:
            raise InvalidToken(str(error)) from error
    raise InvalidToken("no trusted key")


def _claims(payload: dict[str, Any]) -> Claims:
    issued, expires = payload["iat"], payload["exp"]
    numeric = all(
        isinstance(value, int | float) and not isinstance(value, bool)
        for value in (issued, expires, payload["nbf"])
    )
    if not numeric or not 0 < expires - issued <= MAX_LIFETIME:
        raise InvalidToken("implausible times")
    if expires + settings.TOKENS_LEEWAY <= time.time():
        raise InvalidToken("expired")
    subject, user = payload.get("sub"), payload.get("user")
    if not isinstance(subject, str | None) or not isinstance(user, str | None):
        raise InvalidToken("malformed subject")
    if not isinstance(payload["jti"], str):
        raise InvalidToken("malformed token id")
    entries = payload.get("access", [])
    if not isinstance(entries, list):
        raise InvalidToken("malformed access")
    try:
        access = tuple(Access.from_claim(entry) for entry in entries)
    except InvalidScope as error:
        raise InvalidToken("malformed access entry") from error
    credential, auth_type = payload.get("credential"), payload.get("auth_type")
    return Claims(
        subject,
        access,
        float(expires),
        payload["jti"],
        user,
        float(issued),
        _refusals(payload),
        credential if isinstance(credential, str) else "",
        _decided_at(payload, issued),
        auth_type if isinstance(auth_type, str) else "",
    )


def _decided_at(payload: Mapping[str, Any], issued: float) -> float:
    """In seconds; never after the token was issued, as nobody knows what comes."""
    found = payload.get("decided_at")
    return min(found / 1000, issued + 1.0) if type(found) is int else float(issued)


def _refusals(payload: Mapping[str, Any]) -> dict[str, str]:
    """The claim of that name, as far as it is what we write there."""
    found = payload.get("refusals")
    if not isinstance(found, dict):
        return {}
    return {name: text for name, text in found.items() if isinstance(text, str)}
