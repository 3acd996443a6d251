"""Which tags of an image go, by criteria: pure functions, of tags to names.

Source: https://docs.gitlab.com/api/container_registry/, "Delete registry repository tags in bulk".
In order: all that `name_regex_delete` matches; not ``latest``; not what `name_regex_keep` matches;
not the newest `keep_n`; not what is younger than `older_than`. A tag's age is that of its image, by
its configuration, and that of its push where the image does not say. Patterns are RE2's, which take
linear time, and match whole names.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from gitlab.container_registry.client.responses import TagAge, TagDetails
from gitlab.refusals import Invalid
from tokens import tag_patterns
from tokens.tag_patterns import InvalidPattern

MAX_PATTERN = 255
_MAX_MEMORY = 1024 * 1024
"""Bytes that a pattern may become."""

_LATEST = "latest"

_UNITS = {
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 7 * 86400,
    "mo": 30 * 86400,
    "y": 365 * 86400,
}
_WORDS = {
    "second": "s", "sec": "s", "minute": "m", "min": "m", "hour": "h", "hr": "h", "day": "d",
    "week": "w", "month": "mo", "mon": "mo", "year": "y", "yr": "y",
}  # fmt: skip
_PART = re.compile(r"(\d{1,9})\s*([a-z]+)")
_WHOLE = re.compile(rf"\s*(?:{_PART.pattern}[\s,]*)+", re.ASCII)
_LONGEST = 1000 * _UNITS["y"]


@dataclass(frozen=True)
class Candidate:
    """A tag that the pattern matches, and since when its image is."""

    name: str
    since: dt.datetime | None


class Criteria:
    """The criteria, checked and compiled."""

    def __init__(
        self,
        name_regex_delete: str,
        name_regex_keep: str = "",
        keep_n: int = 0,
        older_than: dt.timedelta | None = None,
    ) -> None:
        """Raises `Invalid` for ``name_regex_delete``, ``name_regex_keep``."""
        self._delete = pattern(name_regex_delete, "name_regex_delete")
        self._keep = pattern(name_regex_keep, "name_regex_keep") if name_regex_keep else None
        self.keep_n, self.older_than = keep_n, older_than

    def candidate(self, tag: TagDetails) -> Candidate | None:
        """The tag as a candidate, None where its name says that it stays."""
        if tag.name == _LATEST or not self._delete.fullmatch(tag.name):
            return None
        if self._keep is not None and self._keep.fullmatch(tag.name):
            return None
        return Candidate(tag.name, since_of(tag))

    def chosen(self, candidates: Iterable[Candidate], now: dt.datetime) -> list[str]:
        """The names of those that go, the oldest first.

        One whose age nobody knows stays where the age matters.
        """
        found = list(candidates)
        if not self.keep_n and self.older_than is None:
            return [each.name for each in found]
        # By name among those of one age, so that a second look keeps the same.
        aged = sorted((each.since, each.name) for each in found if each.since is not None)
        if self.keep_n:
            aged = aged[: -self.keep_n]
        end = now - self.older_than if self.older_than is not None else None
        return [name for since, name in aged if end is None or since < end]


def since_of(tag: TagDetails | TagAge) -> dt.datetime | None:
    """Since when a tag's image is: as it says itself, else since its push."""
    return tag.created_at or tag.published_at


def pattern(text: str, field: str) -> Any:
    """A pattern of RE2's. Raises `Invalid` for `field`, with the reason and the place."""
    if len(text) > MAX_PATTERN:
        raise Invalid({field: f"At most {MAX_PATTERN} characters."})
    try:
        return tag_patterns.compile_pattern(text, _MAX_MEMORY)
    except InvalidPattern as error:
        raise Invalid(
            {field: f"This is no regular expression of RE2's: {error}.{_hint(str(error))}"}
        ) from error


def _hint(why: str) -> str:
    """What RE2 has in place of what others have."""
    if "perl operator" in why:
        return " RE2 has neither lookahead nor lookbehind: name what stays in a pattern of its own."
    if re.search(r"invalid escape sequence: \\\d", why):
        return " RE2 has no references back to a group."
    return ""


def duration(text: str, field: str = "older_than") -> dt.timedelta:
    """``1h``, ``7d``, ``1month``, ``2 weeks 3 days``. Raises `Invalid` for `field`."""
    lower = text.strip().lower()
    seconds = 0
    if lower and len(lower) <= MAX_PATTERN and _WHOLE.fullmatch(lower):
        for number, word in _PART.findall(lower):
            unit = _WORDS.get(word.removesuffix("s") or word, word)
            if unit not in _UNITS:
                break
            seconds += int(number) * _UNITS[unit]
        else:
            if 0 < seconds <= _LONGEST:
                return dt.timedelta(seconds=seconds)
    raise Invalid({field: "A number and a unit, as in 12h, 7d, 1month."})
