"""What a registry's bytes are read by: JSON, words and times, each within bounds."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from typing import Any

Object = Mapping[str, Any]

MAX_MARKS = 1_000_000
"""Quotes and brackets in a document that is read. Each costs many times its byte in memory; ten
thousand descriptors with all that is usual in them have half of that."""

MAX_TEXT = 255
"""Characters of a word in a manifest. A media type has 255 at most (RFC 6838, section 4.2)."""

MAX_SIZE = 2**63 - 1


def read_json(payload: bytes) -> Any:
    """The value of a JSON document, in which every text is one.

    The one way in for what a registry says. JSON may hold half of a surrogate pair (``\\ud800``),
    which no encoding has: U+FFFD stands in its place. Raises `ValueError`, also where there is too
    much in it to be read.
    """
    if sum(map(payload.count, (b'"', b"[", b"{"))) > MAX_MARKS:
        raise ValueError("the JSON says too much")
    try:
        found = json.loads(payload)
        if b"\\ud" in payload or b"\\uD" in payload:
            units = json.dumps(found, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
            found = json.loads(units.decode("utf-16-le", "replace"))
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    return found


def word(body: Object, key: str) -> str:
    """A text of a descriptor, at most `MAX_TEXT` characters; "" where it has none."""
    return str(body.get(key) or "")[:MAX_TEXT]


def moment(text: object) -> dt.datetime | None:
    """A time of RFC 3339 in UTC, or None where there is none, or Go's zero for none."""
    if not isinstance(text, str) or not text:
        return None
    try:
        found = dt.datetime.fromisoformat(text[:64])
        found = found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        return None
    return found if found.year > 1 else None
