"""The order of versions: ``v9`` before ``v10``, as people count and bytes do not.

A tag's row keeps a key whose order by bytes is that of versions, so that an index gives pages of
it. In the key a number stands with its length in front, and without zeros in front: ``v10`` is
``v0210``, ``v9`` is ``v019``. Everything else stands for itself, capitals before small letters.
Tags with one key (``v1``, ``v01``) follow by their names.
"""

from __future__ import annotations

import re

MAX_LENGTH = 256
"""A tag has at most 128 characters, so at most 64 numbers, each of which gets two more."""

_NUMBER = re.compile(r"[0-9]+")


def sort_key(name: str) -> str:
    """What the tag `name` is sorted by."""
    return _NUMBER.sub(_with_length, name)


def _with_length(number: re.Match[str]) -> str:
    digits = number[0].lstrip("0") or "0"
    return f"{len(digits):02x}{digits}"
