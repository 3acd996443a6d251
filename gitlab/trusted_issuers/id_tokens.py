"""Reading an ID token and checking what it says of itself. Without I/O.

Source: OpenID Connect Core 1.0, sections 2 and 3.1.3.7; RFC 7519; RFC 8725 (best practices). Of the
header, the algorithm and the key's id count; ``jku``, ``x5u``, ``jwk`` and ``x5c`` lead nowhere.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import jwt

from gitlab.trusted_issuers.keys import ALGORITHMS, Key, choose

MAX_LENGTH = 8192
"""Characters. GitHub's and GitLab's have less than 3,000."""
LEEWAY = 30.0
"""Seconds by which clocks may differ."""
LONGEST_LIFETIME = 86_400.0
"""Seconds between ``iat`` and ``exp``."""
_LONGEST_WORD = 255


class RefusedToken(Exception):
    """An ID token does not count; the message says why, for the log and for who administers.

    `is_proven`: its issuer has signed it, so it is a mistake and no guess.
    """

    def __init__(self, reason: str, *, is_proven: bool = False) -> None:
        super().__init__(reason)
        self.is_proven = is_proven


@dataclass(frozen=True)
class IdToken:
    """What an ID token says, whoever has written it."""

    text: str
    algorithm: str
    key_id: str | None
    claims: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The SHA-256 of what is signed, in hexadecimal digits.

        Without the signature, since of one ES256 signature anybody can make another.
        """
        return hashlib.sha256(self.text.rpartition(".")[0].encode()).hexdigest()

    @property
    def issuer(self) -> object:
        """Who it says has issued it."""
        return self.claims.get("iss")


def looks_like_one(text: str) -> bool:
    """Whether `text` has the form of a signed JWT (RFC 7515, section 3.1)."""
    return text.startswith("ey") and text.count(".") == 2 and len(text) <= MAX_LENGTH


def read(text: str) -> IdToken:
    """The token, its signature not looked at. Raises `RefusedToken`."""
    if not looks_like_one(text):
        raise RefusedToken("it is no signed JWT")
    try:
        found = jwt.decode_complete(text, options={"verify_signature": False})
    except (jwt.PyJWTError, ValueError, RecursionError) as error:
        raise RefusedToken("it is no signed JWT") from error
    header, claims = found["header"], found["payload"]
    algorithm, key_id = header.get("alg"), header.get("kid")
    if algorithm not in ALGORITHMS:
        raise RefusedToken(f"its algorithm {str(algorithm)[:20]!r} is none that counts here")
    if not isinstance(key_id, str | None) or len(key_id or "") > _LONGEST_WORD:
        raise RefusedToken("its key's id is no text")
    if "crit" in header or str(header.get("typ", "JWT")).upper() != "JWT":
        raise RefusedToken("its header asks for what is not known here")
    return IdToken(text, algorithm, key_id, claims)


def verify(token: IdToken, keys: Sequence[Key]) -> None:
    """Check the signature by the one of `keys` that it names. Raises `RefusedToken`."""
    key = choose(keys, token.algorithm, token.key_id)
    if key is None:
        raise RefusedToken("its issuer has no such key, or several")
    options: Any = {"verify_signature": True, **dict.fromkeys(_OWN_CHECKS, False)}
    try:
        jwt.decode(token.text, key.public, algorithms=[token.algorithm], options=options)
    except (jwt.PyJWTError, ValueError, TypeError) as error:
        raise RefusedToken("its signature is wrong") from error


_OWN_CHECKS = ("verify_exp", "verify_nbf", "verify_iat", "verify_aud", "verify_iss", "verify_sub",
               "verify_jti")  # fmt: skip


def check(claims: Mapping[str, Any], *, issuer: str, audience: str, now: float) -> None:
    """Check what every ID token has to say. `now` is in seconds since the epoch.

    Raises `RefusedToken`.
    """
    if claims.get("iss") != issuer:
        raise RefusedToken("it is of another issuer")
    if claims.get("aud") not in (audience, [audience]):
        raise RefusedToken(f"it is not for {audience} alone: aud is {_shown(claims.get('aud'))}")
    subject = claims.get("sub")
    if not isinstance(subject, str) or not subject:
        raise RefusedToken("it says of nobody: sub is missing")
    _check_times(claims, now)


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    issued, ends = _seconds(claims, "iat"), _seconds(claims, "exp")
    if ends <= now - LEEWAY:
        raise RefusedToken("it has expired")
    if ends - issued > LONGEST_LIFETIME or ends <= issued:
        raise RefusedToken("it lasts longer than a day, or no time at all")
    begins = _seconds(claims, "nbf") if "nbf" in claims else issued
    if max(issued, begins) > now + LEEWAY:
        raise RefusedToken("it does not hold yet")


def _seconds(claims: Mapping[str, Any], name: str) -> float:
    """A NumericDate (RFC 7519, section 2)."""
    value = claims.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise RefusedToken(f"{name} is missing, or no time")
    if not 0 <= value < 2**40:
        raise RefusedToken(f"{name} is no time")
    return float(value)


def ends_at(claims: Mapping[str, Any]) -> float:
    """When an ID token that was checked is refused by its time alone; seconds since the epoch."""
    return _seconds(claims, "exp") + LEEWAY


def _shown(value: object) -> str:
    return repr(value)[:100]
