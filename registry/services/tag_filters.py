"""Which of a repository's tags match what no index knows: a pattern, a platform.

Tags are looked at in the order of the list, a part at a time, until there are enough. So a page of
what is common costs what a page costs, and one of what is rare ends at `MOST` tags that were looked
at; the next page goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from registry.errors import Code, RegistryError
from registry.models import Tag
from tokens import tag_patterns
from tokens.tag_patterns import InvalidPattern

MOST = 10_000
"""Tags that are looked at for one page."""

_FIRST, _LARGEST = 100, 400
MAX_PATTERN = 255
_MAX_MEMORY = 1024 * 1024
"""Bytes that a pattern may become, as those of deletions in bulk."""

Next = Callable[[str, int], list[int]]
"""The ids of so many tags behind the one of a name, or from the beginning, in the list's order."""


class Filter:
    """A pattern of RE2's that matches whole names, and a platform; "" for either matches all."""

    def __init__(self, pattern: str = "", platform: str = "") -> None:
        """Raises UNSUPPORTED (400) where the pattern is none."""
        self._pattern: Any = None
        if len(pattern) > MAX_PATTERN:
            raise RegistryError(Code.UNSUPPORTED, "the pattern is too long", status=400)
        if pattern:
            try:
                self._pattern = tag_patterns.compile_pattern(pattern, _MAX_MEMORY)
            except InvalidPattern as error:
                raise RegistryError(
                    Code.UNSUPPORTED, f"the pattern is none of RE2's: {error}", status=400
                ) from error
        self._platform = platform.split("/") if platform else []

    def matches(self, name: str, platforms: Iterable[dict[str, str]]) -> bool:
        """Whether a tag does."""
        if self._pattern is not None and self._pattern.fullmatch(name) is None:
            return False
        return not self._platform or any(map(self._is_wanted, platforms))

    def _is_wanted(self, platform: dict[str, str]) -> bool:
        """Whether the first words of a platform are those asked for."""
        words = [platform.get(key, "") for key in ("os", "architecture", "variant")]
        return words[: len(self._platform)] == self._platform

    @property
    def is_any(self) -> bool:
        """Whether everything matches."""
        return self._pattern is None and not self._platform

    @property
    def columns(self) -> tuple[str, ...]:
        """What of a tag has to be read."""
        return ("name", "manifest__platforms") if self._platform else ("name",)


ANY = Filter()


def ids(wanted: Filter, following: Next, marker: str, count: int) -> tuple[list[int], str]:
    """The ids of the first `count` that match behind `marker`, or all; and the tag at which the
    walk has ended, "" where there are so many or there is nothing more.
    """
    found: list[int] = []
    looked, size = 0, _FIRST
    while looked < MOST:
        some = following(marker, size)
        rows = Tag.objects.filter(pk__in=some).values_list("pk", *wanted.columns)
        said = {row[0]: row[1:] for row in rows}
        for pk in some:
            name, *more = said.get(pk, ("",))
            if name and wanted.matches(name, more[0] if more else ()):
                found.append(pk)
                if len(found) == count:
                    return found, ""
            marker = name or marker
        looked += len(some)
        if len(some) < size:
            return found, ""
        size = min(2 * size, _LARGEST)
    return found, marker
