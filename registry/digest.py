"""Digests: ``algorithm:hex``. Source: OCI image specification, "Digests"."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable

from registry.errors import Code, RegistryError

SHA256 = "sha256"
ALGORITHMS = (SHA256, "sha512")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", re.ASCII)


def is_digest(text: object) -> bool:
    """Whether `text` is a digest in an algorithm that is known here, spelled canonically."""
    return isinstance(text, str) and _DIGEST.fullmatch(text) is not None


def check(text: str | None) -> str:
    """`text` where it is a digest. Raises DIGEST_INVALID."""
    if text is None or not is_digest(text):
        raise RegistryError(
            Code.DIGEST_INVALID,
            "a digest is sha256: with 64 or sha512: with 128 lower-case hexadecimal characters",
        )
    return text


def check_algorithm(name: str) -> str:
    """`name` where it is an algorithm that is known here. Raises DIGEST_INVALID."""
    if name not in ALGORITHMS:
        raise RegistryError(
            Code.DIGEST_INVALID, f"the digest algorithm is one of {', '.join(ALGORITHMS)}"
        )
    return name


def algorithm_of(digest: str) -> str:
    """The part before the colon."""
    return digest.partition(":")[0]


def of(content: bytes, algorithm: str = SHA256) -> str:
    """The digest of `content`."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def of_chunks(chunks: Iterable[bytes | memoryview], algorithm: str = SHA256) -> str:
    """The digest of `chunks` one after the other."""
    hasher = hashlib.new(algorithm)
    for chunk in chunks:
        hasher.update(chunk)
    return f"{algorithm}:{hasher.hexdigest()}"
