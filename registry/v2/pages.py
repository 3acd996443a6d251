"""Where a page of a list ends: by count, as its caller asks, and by bytes, whatever it holds."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, TypeVar
from urllib.parse import urlencode

MAX_BYTES = 1024 * 1024
"""Bytes of JSON after which a page ends. Its first entry is in it whatever its size."""

Entry = TypeVar("Entry", bound=dict[str, Any])


def next_link(path: str, **parameters: Any) -> dict[str, str]:
    """The ``Link`` header of a page that has a next one (RFC 8288), relative to the host."""
    return {"Link": f'<{path}?{urlencode(parameters)}>; rel="next"'}


def fitting(
    entries: Iterable[Entry], limit: int | None = None, *, max_bytes: int = MAX_BYTES
) -> tuple[list[Entry], bool]:
    """The first of `entries`, at most `limit` and about `max_bytes`, and whether there are more.

    Entries are taken one by one, so that those which no longer fit need not be made. With a limit
    of 0 there is no page at all, and so none behind it.
    """
    kept: list[Entry] = []
    left = max_bytes
    for entry in entries:
        left -= len(json.dumps(entry))
        if len(kept) == limit or (kept and left < 0):
            return kept, bool(kept)
        kept.append(entry)
    return kept, False
