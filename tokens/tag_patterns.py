"""Patterns of tags, as they travel in the ``meta`` of a token: RE2's, in linear time.

Both sides read them alike: GitLab's refuses a pattern that is none, the registry holds tags against
it. A pattern matches where it is found anywhere in a name; ``^`` and ``$`` tie it to the ends.
Source: https://github.com/google/re2/wiki/Syntax.
"""

from __future__ import annotations

import functools
import re
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
    try:
        return compile_pattern(text, _MAX_MEMORY)
    except InvalidPattern as error:
        raise InvalidPattern(f"it is no regular expression of RE2's: {error}") from error


def compile_pattern(text: str, max_memory: int) -> Pattern:
    """The pattern that `text` is, of any length; compiled it becomes at most `max_memory` bytes.

    Raises `InvalidPattern` with what RE2 says and where in `text` that is, counted from 1.
    """
    try:
        return _compile(text, max_memory)
    except UnicodeEncodeError as error:
        raise InvalidPattern("half a character") from error
    except re2.error as error:
        why = _why(error)
        place = _place(text, why, max_memory)
        raise InvalidPattern(
            why if place is None else f"{why}, at character {place + 1}"
        ) from error


def _compile(text: str, max_memory: int) -> Pattern:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = max_memory
    return cast(Pattern, re2.compile(text, options))


def _why(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode(errors="replace") if isinstance(said, bytes) else str(said)


def _place(text: str, why: str, max_memory: int) -> int | None:
    """Where in a pattern begins what RE2 does not take, None where it does not say.

    RE2 quotes the part and reads from the left: the part is where the shortest beginning of the
    pattern ends that fails for the same reason.
    """
    part = why.partition(": ")[2]
    if why.startswith("missing )"):
        return _unclosed(text)
    first = start = text.find(part) if part else -1
    while start >= 0:
        try:
            _compile(text[: start + len(part)], max_memory)
        except re2.error as error:
            if _why(error) == why:
                return start
        start = text.find(part, start + 1)
    return first if first >= 0 else None


def _unclosed(text: str) -> int | None:
    """Where the last parenthesis opens that nothing closes; escapes and classes are skipped."""
    opened: list[int] = []
    in_class = False
    for found in re.finditer(r"\\.|[][()]", text, re.DOTALL):
        mark = found.group()
        if mark == "[":
            in_class = True
        elif mark == "]":
            in_class = False
        elif mark == "(" and not in_class:
            opened.append(found.start())
        elif mark == ")" and not in_class and opened:
            opened.pop()
    return opened[-1] if opened else None


def matches(text: str, name: str) -> bool:
    """Whether the pattern `text` is found in a tag's name. Raises `InvalidPattern`."""
    return compiled(text).search(name) is not None
