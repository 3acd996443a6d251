"""What a request asks of a representation: ranges of it (RFC 9110, 14) and conditions (13)."""

from __future__ import annotations

import re

from registry.errors import Code, RegistryError

MAX_RANGES = 1024
"""Ranges in one request. podman asks for no more at once; who asks for more gets everything."""

PART_OVERHEAD = 200
"""Bytes that a part of a multipart answer has beside its content, at most."""

_RANGES = re.compile(r"bytes=([\d\-, \t]*)", re.ASCII | re.IGNORECASE)
_RANGE = re.compile(r"(\d{0,19})-(\d{0,19})", re.ASCII)


def requested(field: str | None, size: int) -> list[tuple[int, int]]:
    """The ranges that `field` asks for of `size` bytes: each its first byte and the one behind it.

    None of them where everything is to be sent: where nothing is asked for, where it makes no sense
    or is in another unit, and where so many ranges overlap or are so small that everything is less.
    Those that lie behind the end are left out. Raises RANGE_INVALID where all of them do.
    """
    matched = _RANGES.fullmatch(field.strip()) if field else None
    if matched is None:
        return []
    specs = [spec for text in matched[1].split(",") if (spec := text.strip(" \t"))]
    found: list[tuple[int, int]] = []
    for spec in specs[: MAX_RANGES + 1]:
        one = _RANGE.fullmatch(spec)
        if one is None or not _makes_sense(one[1], one[2]):
            return []
        start, end = _within(one[1], one[2], size)
        if start < end:
            found.append((start, end))
    if not specs or len(specs) > MAX_RANGES:
        return []
    if not found:
        raise RegistryError(Code.RANGE_INVALID, headers={"Content-Range": f"bytes */{size}"})
    if len(found) > 1 and sum(end - start + PART_OVERHEAD for start, end in found) > size:
        return []
    return found


def _makes_sense(first: str, last: str) -> bool:
    if first and last:
        return int(first) <= int(last)
    return bool(first or last)


def _within(first: str, last: str, size: int) -> tuple[int, int]:
    """A range as far as there is something; empty where there is nothing."""
    if not first:
        return max(0, size - int(last)), size
    return int(first), min(int(last) + 1, size) if last else size


def is_known(field: str | None, etag: str) -> bool:
    """Whether the client has what `etag` names, by its ``If-None-Match`` (RFC 9110, 13.1.2).

    Some clients leave the quotation marks out.
    """
    if not field:
        return False
    candidates = [part.strip().removeprefix("W/") for part in field.split(",")]
    return etag in candidates or etag.strip('"') in candidates or "*" in candidates
