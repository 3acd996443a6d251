"""How long names are that tables keep."""

from __future__ import annotations

NAME_LENGTH = 255
TAG_LENGTH = 128
CAUSE_LENGTH = 64
DIGEST_LENGTH = 135
"""``sha512:`` with 128 hexadecimal characters."""
