"""The public keys of an issuer: reading them, and choosing one. Without I/O.

Source: RFC 7517 (JWK), RFC 7518, RFC 8037. Only algorithms with a public key are known here, so
that no public key can be taken for a secret (``HS256``), and each is bound to one kind of key.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jwt

MOST_KEYS = 100
"""Of an issuer. GitHub has a handful."""
_LONGEST_ID = 255
_RSA_BYTES = range(256, 1025)
"""Of a modulus: 2048 to 8192 bits. Checking takes time with the square of it."""
_EXPONENT_BYTES = 4

_RSA = ("RSA", "")
_KINDS: dict[str, tuple[str, str]] = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), _RSA),
    "ES256": ("EC", "P-256"),
    "ES384": ("EC", "P-384"),
    "EdDSA": ("OKP", "Ed25519"),
}
"""Algorithm → type and curve of its keys."""

ALGORITHMS = frozenset(_KINDS)

_PARTS = {"RSA": ("n", "e"), "EC": ("crv", "x", "y"), "OKP": ("crv", "x")}
"""What a public key is made of. Whatever else stands beside it is not looked at."""


class UnusableKeys(Exception):
    """What an issuer gives out as its keys is not to be used."""


@dataclass(frozen=True)
class Key:
    """A public key that signatures are checked with. `algorithm` is "" where its issuer names
    none.
    """

    id: str
    kind: tuple[str, str]
    algorithm: str
    public: Any

    def fits(self, algorithm: str, key_id: str | None) -> bool:
        """Whether it may check a signature by this algorithm, said to be of this key."""
        return (
            _KINDS.get(algorithm) == self.kind
            and self.algorithm in ("", algorithm)
            and key_id in (None, self.id)
        )


def read(document: Any) -> tuple[Key, ...]:
    """The keys of a JWK set that are for signatures and of a kind that is known here.

    Raises `UnusableKeys` where it is no set, or has more than `MOST_KEYS`.
    """
    listed = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(listed, list):
        raise UnusableKeys("its keys are no JWK set")
    if len(listed) > MOST_KEYS:
        raise UnusableKeys(f"it has {len(listed)} keys; at most {MOST_KEYS} are read")
    return tuple(key for one in listed if (key := _read_one(one)) is not None)


def _read_one(entry: Any) -> Key | None:
    if not isinstance(entry, dict) or not _is_for_signatures(entry):
        return None
    kind = (str(entry.get("kty")), "" if entry.get("kty") == "RSA" else str(entry.get("crv")))
    algorithm = next((name for name, of in _KINDS.items() if of == kind), "")
    own, key_id = entry.get("alg") or "", entry.get("kid") or ""
    if not algorithm or not isinstance(own, str) or not isinstance(key_id, str):
        return None
    if len(key_id) > _LONGEST_ID or (own and _KINDS.get(own) != kind):
        return None
    parts = {name: entry.get(name) for name in _PARTS[kind[0]]}
    if not all(isinstance(part, str) for part in parts.values()) or not _is_usable(parts):
        return None
    try:
        public = jwt.PyJWK({"kty": kind[0], **parts}, algorithm=algorithm).key
    except (jwt.PyJWTError, ValueError):
        return None
    return Key(key_id, kind, own, public)


def _is_for_signatures(entry: dict[str, Any]) -> bool:
    operations = entry.get("key_ops")
    return entry.get("use") in (None, "sig") and (
        operations is None or (isinstance(operations, list) and "verify" in operations)
    )


def _is_usable(parts: dict[str, Any]) -> bool:
    """Whether an RSA key is neither weak nor so large that checking with it would be an attack."""
    if "n" not in parts:
        return True
    try:
        modulus, exponent = (_bytes(parts[name]) for name in ("n", "e"))
    except (binascii.Error, ValueError):
        return False
    return len(modulus) in _RSA_BYTES and len(exponent) <= _EXPONENT_BYTES


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)).lstrip(b"\0")


def choose(keys: Sequence[Key], algorithm: str, key_id: str | None) -> Key | None:
    """The one key that is meant; None where there is none, or more than one."""
    fitting = [key for key in keys if key.fits(algorithm, key_id)]
    return fitting[0] if len(fitting) == 1 else None
