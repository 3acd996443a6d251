"""Safe hands for JSON that anybody may have written: of each value what a page can show.

Whatever a field holds (another type, a novel, controls, half of a surrogate pair, marks that turn
text round) becomes a short text, a list with an end, or nothing. No function here raises.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

from gitlab.container_registry.client.responses import MAX_TEXT, read_json

MAX_VALUE = 500
"""Characters of a value in a list."""

MAX_LISTED = 50
"""Entries of a list or mapping that stands on a page with others."""

MAX_MARKS = 300_000
"""Quotes and brackets of a document that is taken apart for a page: ten thousand steps of a history
have half of that, and what is read of it takes some 30 MB."""

_HIDDEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\ud800-\udfff\ufeff\ufff9-\ufffb\U000e0000-\U000e007f]"
)
"""Controls, and what has no shape or turns the text round it: Unicode's Cc and most of its Cf."""

_LINK_CHARACTERS = re.compile(r"[!#-;=?-\[\]_a-z~]+", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9.-]+|\[[0-9a-fA-F:.]+\]", re.ASCII)
_MAX_LINK = 2000

T = TypeVar("T")


@dataclass(frozen=True)
class Some(Generic[T]):
    """The first of many, and how many there are in all."""

    entries: tuple[T, ...] = ()
    total: int = 0

    @property
    def more(self) -> int:
        """How many are not told."""
        return self.total - len(self.entries)

    def __bool__(self) -> bool:
        return self.total > 0


def read_object(payload: bytes, max_marks: int = MAX_MARKS) -> Mapping[str, Any]:
    """A JSON object; an empty one where it is none, or says too much."""
    if sum(map(payload.count, (b'"', b"[", b"{"))) > max_marks:
        return {}
    try:
        found = read_json(payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def within(value: object, *keys: str) -> Mapping[str, Any]:
    """The object that lies so deep in another one; an empty one where there is none."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, Mapping) else {}


def listed(value: object) -> Sequence[Any]:
    """A list; an empty one where it is none."""
    return value if isinstance(value, list) else []


def shown(value: object, limit: int = MAX_VALUE) -> str:
    """A value as one may read it, with its hidden characters written out.

    A list or an object is not told, nor what follows `limit` characters.
    """
    if value is None or value == "":
        return ""
    if isinstance(value, bool | int | float):
        return _number(value)
    if not isinstance(value, str):
        return "[…]" if isinstance(value, list) else "{…}"
    text = visible(value[:limit])
    left = len(value) - limit
    return f"{text}… ({left:,} more characters)" if left > 0 else text


def visible(text: str) -> str:
    """A text whose hidden characters are written out."""
    return _HIDDEN.sub(_written_out, text)


def _number(value: float) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        return str(value)[:MAX_TEXT]
    except ValueError:
        # Python writes no integer of thousands of digits.
        return "a very large number"


def _written_out(found: re.Match[str]) -> str:
    point = ord(found[0])
    return f"\\u{point:04x}" if point < 0x10000 else f"\\U{point:08x}"


def texts(value: object, *, limit: int = MAX_VALUE, most: int = MAX_LISTED) -> Some[str]:
    """The entries of a list as texts; a text alone is a list of one."""
    if isinstance(value, str) and value:
        value = [value]
    found = listed(value)
    return Some(tuple(shown(each, limit) for each in found[:most]), len(found))


def pairs(
    value: object, *, limit: int = MAX_VALUE, most: int = MAX_LISTED
) -> Some[tuple[str, str]]:
    """The keys and values of an object."""
    if not isinstance(value, Mapping):
        return Some()
    some: Iterable[tuple[object, object]] = islice(value.items(), most)
    return Some(tuple((shown(k, MAX_TEXT), shown(v, limit)) for k, v in some), len(value))


def link(value: object) -> str:
    """An address that a page may link to, "" for all others: those are shown as text.

    http and https alone, in ASCII, with a host and without a name before it, which could pass for
    one. Source: RFC 3986.
    """
    if not isinstance(value, str) or len(value) > _MAX_LINK:
        return ""
    if not value.startswith(("https://", "http://")) or not _LINK_CHARACTERS.fullmatch(
        value.lower()
    ):
        return ""
    try:
        split = urlsplit(value)
        host = split.netloc.rpartition(":")[0] if split.port is not None else split.netloc
    except ValueError:
        return ""
    return value if _HOST.fullmatch(host) else ""
