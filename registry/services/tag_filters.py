"""Which of a repository's tags match what no index knows: a pattern, a platform, a signature.

Tags are looked at in the order of the list, a part at a time, until there are enough. So a page of
what is common costs what a page costs, and one of what is rare ends at `MOST` tags that were looked
at; the next page goes on from there.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.db.models import TextField
from django.db.models.functions import Cast

from registry.errors import Code, RegistryError
from registry.services import signed as signed_manifests
from tokens import tag_patterns
from tokens.tag_patterns import InvalidPattern

MOST = 10_000
"""Tags that are looked at for one page."""

_FIRST = 100
_LARGEST, _LARGEST_WITH_PLATFORMS = 2_000, 400
"""Tags that are looked at at once, at most, and where each may name many platforms."""

MAX_PATTERN = 255
_MAX_MEMORY = 1024 * 1024
"""Bytes that a pattern may become, as those of deletions in bulk."""

Row = tuple[Any, ...]
"""Of a tag its id, its name, and what the filter's `columns` are."""

Next = Callable[[str, int], Sequence[Row]]
"""So many tags behind the one of a name, or from the beginning, in the list's order."""


class Filter:
    """A pattern of RE2's that matches whole names, and a platform; "" for either matches all.

    And whether a tag's manifest is `signed`, as `services.signed` says; None matches both.
    """

    def __init__(self, pattern: str = "", platform: str = "", signed: bool | None = None) -> None:
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
        self._known: dict[str, bool] = {}
        self.signed = signed

    def matching(self, repository_id: int, rows: Iterable[Row]) -> list[int]:
        """The ids of those of a repository's tags that match, in their order."""
        left = rows
        if self._pattern is not None:
            # As bytes, which RE2 reads as they are: names are ASCII.
            left = [row for row in left if self._pattern.fullmatch(row[1].encode()) is not None]
        if self._platform:
            left = [row for row in left if self._has_platform(row[-1])]
        if self.signed is not None:
            left = list(left)
            found = signed_manifests.among(repository_id, [row[2] for row in left])
            left = [row for row in left if (row[2] in found) is self.signed]
        return [row[0] for row in left]

    def _has_platform(self, platforms: str) -> bool:
        """Whether the one asked for is among those of a document, which most tags have alike."""
        if platforms not in self._known:
            self._known[platforms] = any(map(self._is_wanted, json.loads(platforms)))
        return self._known[platforms]

    def _is_wanted(self, platform: dict[str, str]) -> bool:
        """Whether the first words of a platform are those asked for."""
        words = [platform.get(key, "") for key in ("os", "architecture", "variant")]
        return words[: len(self._platform)] == self._platform

    @property
    def is_any(self) -> bool:
        """Whether everything matches."""
        return self._pattern is None and not self._platform and self.signed is None

    @property
    def columns(self) -> tuple[str | Cast, ...]:
        """What of a tag has to be read behind its id: by its name alone an index is enough."""
        digest = () if self.signed is None else ("digest",)
        platforms = (Cast("manifest__platforms", TextField()),) if self._platform else ()
        return ("name", *digest, *platforms)

    @property
    def largest(self) -> int:
        """How many tags are looked at at once, at most."""
        return _LARGEST_WITH_PLATFORMS if self._platform else _LARGEST


ANY = Filter()


def ids(
    wanted: Filter, repository_id: int, following: Next, marker: str, count: int
) -> tuple[list[int], str]:
    """The ids of the first `count` that match behind `marker`, or all; and the tag at which the
    walk has ended, "" where there are so many or there is nothing more.
    """
    found: list[int] = []
    looked, size = 0, _FIRST
    while looked < MOST:
        rows = following(marker, size)
        found += wanted.matching(repository_id, rows)
        if len(found) >= count:
            return found[:count], ""
        if len(rows) < size:
            return found, ""
        looked += len(rows)
        marker = rows[-1][1]
        # Where something matches, not many more may be wanted.
        size = min((2 if found else 4) * size, wanted.largest)
    return found, marker
