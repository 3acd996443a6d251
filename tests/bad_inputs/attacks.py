"""The tokens and credentials that cases ask for, good ones and forged ones."""

from __future__ import annotations

import base64
import json
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives import serialization

from tokens import keys
from tokens.access import Access

_REMOVED = object()


def b64(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Forge:
    """Signs with the node's key, or with an attacker's, whatever it is told to."""

    def __init__(self, home: Path) -> None:
        folder = home / "keys"
        key_pem = (folder / "gitlab-registry.key").read_bytes()
        certificate_pem = (folder / "gitlab-registry.crt").read_bytes()
        self.key = keys.signing_key(key_pem, certificate_pem)
        self.evil = keys.signing_key(*keys.generate())
        self.rsa = keys.generate(rsa_bits=2048)

    def claims(
        self, *access: Access, subject: str | None = "dev1", **changes: Any
    ) -> dict[str, Any]:
        """Good claims with `changes`; `_REMOVED` takes one out."""
        now = int(time.time())
        found: dict[str, Any] = {
            "iss": "gitlab-issuer",
            "aud": "container_registry",
            "iat": now,
            "nbf": now - 5,
            "exp": now + 600,
            "jti": str(uuid.uuid4()),
            "access": [entry.as_claim() for entry in access],
        }
        if subject is not None:
            found["sub"] = subject
        found |= changes
        return {name: value for name, value in found.items() if value is not _REMOVED}

    def sign(self, claims: dict[str, Any], **headers: Any) -> str:
        """A token that the node has signed."""
        head = {"kid": self.key.key_id, "x5c": list(self.key.x5c), **headers}
        return jwt.encode(claims, self.key.private, algorithm=self.key.algorithm, headers=head)

    def mint(self, *access: Access, subject: str | None = "dev1", **changes: Any) -> str:
        """A good token."""
        return self.sign(self.claims(*access, subject=subject, **changes))

    def attack(self, name: str, pull: Access) -> str:
        """The Authorization field of the attack `name`."""
        if name == "Bearer ":
            return "Bearer "
        if name == "Bearer glpat-...":
            return f"Bearer glpat-{'x' * 32}"
        make = self._changed(name, pull) or self._ATTACKS[name]
        return f"Bearer {make(self, pull)}"

    def _changed(self, name: str, pull: Access) -> Callable[[Forge, Access], str] | None:
        now = int(time.time())
        bad_entry = pull.as_claim()
        changes: dict[str, dict[str, Any]] = {
            "nbf=now+120": {"nbf": now + 120},
            "exp=now+10y": {"exp": now + 10 * 365 * 86400},
            "aud=dependency_proxy": {"aud": "dependency_proxy"},
            'aud=["evil","container_registry"]': {"aud": ["evil", "container_registry"]},
            "no aud": {"aud": _REMOVED},
            "no iss": {"iss": _REMOVED},
            'access="*"': {"access": "*"},
            'actions="pullpush"': {"access": [bad_entry | {"actions": "pullpush"}]},
            "no name": {"access": [{"type": "repository", "actions": ["pull"]}]},
        }
        if name.startswith("name="):
            other = bad_entry | {"name": name.removeprefix("name=")}
            return lambda forge, pull: forge.mint(pull, access=[other])
        if name in changes:
            return lambda forge, pull: forge.mint(pull, **changes[name])
        return None

    def _hmac(self, key: bytes, pull: Access, algorithm: str = "HS256") -> str:
        """Signed with a secret that everybody knows. PyJWT refuses to, so by hand."""
        import hashlib
        import hmac

        head = {"typ": "JWT", "alg": algorithm, "kid": self.key.key_id}
        text = f"{b64(json.dumps(head).encode())}.{b64(json.dumps(self.claims(pull)).encode())}"
        return f"{text}.{b64(hmac.new(key, text.encode(), hashlib.sha256).digest())}"

    def _none(self, pull: Access) -> str:
        head = {"typ": "JWT", "alg": "nOnE", "kid": self.key.key_id}
        claims = self.claims(pull)
        return f"{b64(json.dumps(head).encode())}.{b64(json.dumps(claims).encode())}."

    def _public_pem(self) -> bytes:
        return self.key.private.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )

    def _embedded(self, pull: Access) -> str:
        jwk = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(self.evil.private.public_key()))  # type: ignore[arg-type]
        head = {"kid": self.key.key_id, "jwk": jwk}
        return jwt.encode(self.claims(pull), self.evil.private, algorithm="ES256", headers=head)

    def _self_signed(self, pull: Access) -> str:
        head = {"x5c": list(self.evil.x5c)}
        return jwt.encode(self.claims(pull), self.evil.private, algorithm="ES256", headers=head)

    def _payload(self, payload: bytes) -> str:
        """A payload that is no object, properly signed."""
        return jwt.api_jws.encode(
            payload, self.key.private, self.key.algorithm, {"kid": self.key.key_id}
        )

    def _flipped(self, pull: Access) -> str:
        head, claims, signature = self.mint(pull).split(".")
        raw = bytearray(base64.urlsafe_b64decode(signature + "=" * (-len(signature) % 4)))
        raw[10] ^= 1
        return f"{head}.{claims}.{b64(bytes(raw))}"

    _ATTACKS: dict[str, Callable[[Forge, Access], str]] = {
        "alg=nOnE": _none,
        "HS256 with key = public PEM": lambda forge, pull: forge._hmac(forge._public_pem(), pull),
        'HS256 key=""': lambda forge, pull: forge._hmac(b"", pull),
        "jwk header = attacker key, kid = ours": _embedded,
        "x5c=[self signed]": _self_signed,
        'crit=["x"]': lambda forge, pull: forge.sign(forge.claims(pull), crit=["x"]),
        "b64=false": lambda forge, pull: forge.sign(forge.claims(pull), b64=False, crit=["b64"]),
        "bit flip": _flipped,
        "[1]": lambda forge, pull: forge._payload(b"[1]"),
        "nested": lambda forge, pull: forge._payload(b"[" * 2500 + b"]" * 2500),
    }
