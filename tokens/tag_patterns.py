"""Patterns of tags, as they travel in the ``meta`` of a token: RE2's, in linear time.

Both sides read them alike: GitLab's refuses a pattern that is none, the registry holds tags against
it. A pattern matches where it is found anywhere in a name; ``^`` and ``$`` tie it to the ends.
Source: https://github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

import functools
from typing import Any, Protocol, cast

import re2

MAX_LENGTH = 100
"""Of a pattern, in characters, as GitLab has it."""

_MAX_MEMORY = 256 * 1024
"""Bytes that a compiled pattern may become, with what it keeps while it matches."""

_KEPT = 256
"""Compiled patterns that a process keeps: 64 MiB at the very most, and some kilobytes each."""


class InvalidPattern(ValueError):
    """The text is no pattern of RE2's, or too long. The message says why."""


class Pattern(Protocol):
    """A compiled pattern."""

    def search(self, text: str) -> Any:
        """What of `text` matches, None where nothing does."""


@functools.lru_cache(maxsize=_KEPT)
def compiled(text: str) -> Pattern:
    """The pattern that `text` is. Raises `InvalidPattern`."""
    if not text:
        raise InvalidPattern("a pattern is not empty")
    if len(text) > MAX_LENGTH:
        raise InvalidPattern(f"a pattern has at most {MAX_LENGTH} characters")
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    try:
        return cast(Pattern, re2.compile(text, options))
    except (re2.error, UnicodeEncodeError) as error:
        raise InvalidPattern(
            f"it is no regular expression of RE2's: {_why(text, error)}"
        ) from error


def _why(text: str, error: Exception) -> str:
    """What RE2 says, with where in `text` it is, counted from 1."""
    said = error.args[0] if error.args else ""
    reason = said.decode(errors="replace") if isinstance(said, bytes) else str(said)
    position = text.rfind(reason.rpartition(": ")[2])
    return f"{reason}, at character {position + 1}" if position >= 0 else reason


def matches(text: str, name: str) -> bool:
    """Whether the pattern `text` is found in a tag's name. Raises `InvalidPattern`."""
    return compiled(text).search(name) is not None
