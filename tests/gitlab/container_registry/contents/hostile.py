"""Content that nobody means well with, for each field that a page shows, and what it costs."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable
from typing import Any

MAX_SECONDS = 20.0
"""Of the processor: many times what the dearest takes, so that it says what never ends, and not how
fast the machine is. Times are measured in `benchmarks/`."""

MAX_MEMORY = 50 * 1024 * 1024

BIDI = "a\u202egpj.exe\u2066"
VALUES: dict[str, Any] = {
    "nothing": None,
    "true": True,
    "a number": 5,
    "a huge number": 10**400,
    "not a number": float("nan"),
    "endless": float("inf"),
    "a text": "x",
    "an empty text": "",
    "a novel": "x" * 1_000_000,
    "markup": "</code><script>alert(1)</script>\"'&",
    "controls": "a\x00b\x1b[31m\r\n\x7f\x9b",
    "text turned round": BIDI,
    "zero widths": "a\u200b\ufeff\u2060b\U000e0041",
    "half a surrogate pair": "\ud83d",
    "a list": ["x", 1, None, [], {}],
    "an object": {"x": {}, "": None},
    "many": ["x"] * 5_000,
    "many keys": {str(n): "x" for n in range(5_000)},
    "a time": "9999-12-31T23:59:59-14:00",
    "an early time": "0001-01-01T00:00:00+14:00",
    "an address": "javascript:alert(1)",
}


def deep(depth: int = 900) -> Any:
    """Lists in lists."""
    value: Any = []
    for _ in range(depth):
        value = [value]
    return value


VALUES["deep"] = deep()


def assert_cheap(read: Callable[[], Any]) -> Any:
    """What `read` gives; fails where it costs more of the processor or memory than a page may."""
    started = time.process_time()
    found = read()
    assert time.process_time() - started < MAX_SECONDS
    tracemalloc.start()
    try:
        read()
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY
    finally:
        tracemalloc.stop()
    return found


def texts_in(value: Any) -> list[str]:
    """Every text in what a parser gives, however deep."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return [text for each in value.items() for text in texts_in(each)]
    if isinstance(value, list | tuple):
        return [text for each in value for text in texts_in(each)]
    if hasattr(value, "__dataclass_fields__"):
        return texts_in([getattr(value, name) for name in value.__dataclass_fields__])
    return []


def assert_harmless(value: Any, limit: int = 1100) -> None:
    """No text in it is long, hides anything, or turns what stands beside it round."""
    for text in texts_in(value):
        assert len(text) <= limit
        assert all(each.isprintable() or each in "\n\t\u200d\u200c" for each in text), ascii(text)
        text.encode()
