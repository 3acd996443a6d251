"""Public keys as people paste them (PEM), and whether one of them made a signature.

ECDSA on the curves of NIST, RSA from 2,048 bits up and Ed25519, with what cosign signs by: the hash
SHA-256 whatever the key, and for the larger curves their own too; PKCS #1 v1.5 for RSA.
Sources: RFC 5280, section 4.1.2.7; RFC 8032; cosign's SIGNATURE_SPEC.md.
"""

from __future__ import annotations

import hashlib
from typing import TypeAlias

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey

MAX_PEM = 16 * 1024
"""Characters of a key."""

_RSA_BITS = (2048, 8192)
_CURVES: dict[str, tuple[hashes.HashAlgorithm, ...]] = {
    "secp256r1": (hashes.SHA256(),),
    "secp384r1": (hashes.SHA256(), hashes.SHA384()),
    "secp521r1": (hashes.SHA256(), hashes.SHA512()),
}
_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}


class InvalidKey(ValueError):
    """A text is no public key that signatures are checked by. The text is a sentence."""


def read_pem(text: str) -> PublicKey:
    """The public key of a PEM block ``PUBLIC KEY``. Raises `InvalidKey`."""
    text = text.strip()
    if "PRIVATE KEY" in text:
        raise InvalidKey("This is a private key: nobody but its owner should have it.")
    if len(text) > MAX_PEM or not text.startswith("-----BEGIN PUBLIC KEY-----"):
        raise InvalidKey("Paste one public key, which begins with -----BEGIN PUBLIC KEY-----.")
    if text.count("-----BEGIN") != 1:
        raise InvalidKey("Paste one key at a time.")
    try:
        found = serialization.load_pem_public_key(text.encode())
    except (ValueError, UnsupportedAlgorithm, UnicodeEncodeError) as error:
        raise InvalidKey("This key can't be read.") from error
    if isinstance(found, rsa.RSAPublicKey):
        low, high = _RSA_BITS
        if not low <= found.key_size <= high:
            raise InvalidKey(f"An RSA key has {low:,} to {high:,} bits.")
        return found
    if isinstance(found, ec.EllipticCurvePublicKey) and found.curve.name in _CURVES:
        return found
    if isinstance(found, ed25519.Ed25519PublicKey):
        return found
    raise InvalidKey("Keys are ECDSA (P-256, P-384, P-521), RSA or Ed25519.")


def pem_of(key: PublicKey) -> str:
    """A key in one form, however it was pasted."""
    return key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    ).decode()


def fingerprint(key: PublicKey) -> str:
    """SHA-256 of the key's SubjectPublicKeyInfo, in hexadecimal digits."""
    spki = key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(spki).hexdigest()


def algorithm_of(key: PublicKey) -> str:
    """What a key is, in words: ``ECDSA P-256``."""
    if isinstance(key, rsa.RSAPublicKey):
        return f"RSA {key.key_size}"
    if isinstance(key, ec.EllipticCurvePublicKey):
        return f"ECDSA {_NAMES[key.curve.name]}"
    return "Ed25519"


def made(key: PublicKey, signature: bytes, message: bytes) -> bool:
    """Whether a key's owner has signed exactly this message."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        return any(
            _holds(key.verify, signature, message, ec.ECDSA(algorithm))
            for algorithm in _CURVES[key.curve.name]
        )
    if isinstance(key, rsa.RSAPublicKey):
        return _holds(key.verify, signature, message, padding.PKCS1v15(), hashes.SHA256())
    return _holds(key.verify, signature, message)


def _holds(verify: object, signature: bytes, message: bytes, *by: object) -> bool:
    assert callable(verify)
    try:
        verify(signature, message, *by)
    except (InvalidSignature, ValueError):
        return False
    return True
