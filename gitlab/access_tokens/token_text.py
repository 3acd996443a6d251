"""The text of a token: a prefix for its kind, random bytes, and a checksum for whoever finds it.

    glpat-<34 characters>.0y<7 characters>
          base64url of    │ └ CRC-32 of all that stands before it, in base 36
          bytes, count    └ length of the part before the dot, in base 36

It is GitLab's form of "routable" tokens, with nothing to route by. Scanners for leaked secrets know
it, and tell a token from something like it without asking anybody. Tokens that were made before
have no dot and no checksum, and go on working. What is stored is the SHA-256 of the text: its 192
random bits need no slow hash.
Source: https://handbook.gitlab.com/handbook/engineering/architecture/design-documents/cells/
routable_tokens/, docs/decisions/0014.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
import zlib
from enum import StrEnum

_RANDOM_BYTES = 24
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_WITH_CHECKSUM = re.compile(r"(.+\.[0-9a-z]{2})([0-9a-z]{7})", re.ASCII)


class Prefix(StrEnum):
    """What a token begins with, by its kind. After a hyphen stands what GitLab has there too."""

    PERSONAL = "glpat-"
    """Of a person, and of the bot of a project or group."""
    DEPLOY = "gldt-"
    JOB = "glcbt-1_"
    """GitLab has the number of a partition of its tables there."""
    RUNNER = "glrt-t3_"
    """A project's runner: GitLab's type 3."""


def generate(prefix: Prefix) -> str:
    """A new token's text."""
    payload = secrets.token_bytes(_RANDOM_BYTES) + bytes([_RANDOM_BYTES])
    encoded = base64.urlsafe_b64encode(payload).decode().rstrip("=")
    checked = f"{prefix}{encoded}.{_base36(len(encoded), 2)}"
    return checked + _checksum(checked)


def digest_of(text: str) -> str:
    """What is stored of a token."""
    return hashlib.sha256(text.encode()).hexdigest()


def is_of(kind: Prefix, text: str) -> bool:
    """Whether `text` begins as a token of this kind: by GitLab's prefix, up to the hyphen."""
    return text.startswith(kind.partition("-")[0] + "-")


def may_exist(text: str) -> bool:
    """Whether a token may have this text: with a dot in it its checksum has to be right."""
    matched = _WITH_CHECKSUM.fullmatch(text)
    if matched is None:
        return "." not in text
    return secrets.compare_digest(_checksum(matched[1]), matched[2])


def _checksum(text: str) -> str:
    return _base36(zlib.crc32(text.encode()), 7)


def _base36(number: int, width: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(width, "0")
