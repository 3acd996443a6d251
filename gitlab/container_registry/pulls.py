"""How often an image was pulled, as pages show it: by day, and by whom."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from gitlab.container_registry import repositories
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import DailyPulls, TagDetails
from gitlab.container_registry.models import ContainerRepository

DAYS = 30
"""Days that a page shows, today included."""

_WORDS = {
    "password": "with a password",
    "access_token": "with an access token",
    "deploy_token": "with a deploy token",
    "job": "by CI jobs",
    "id_token": "with an ID token",
    "anonymous": "by visitors",
}


@dataclass(frozen=True)
class Day:
    """The pulls of one day (UTC), and in words whom they are by."""

    day: dt.date
    pulls: int
    words: str


@dataclass(frozen=True)
class Shown:
    """The pulls of the last `DAYS` by day, the latest first; days without any are left out."""

    days: list[Day]
    pulls: int
    words: str

    @property
    def most(self) -> int:
        """Those of the day that has most."""
        return max((day.pulls for day in self.days), default=0)


def of_tag(details: TagDetails, found: Iterable[DailyPulls]) -> Shown | None:
    """Of the manifest that a tag points at, by whatever reference; None where none are counted."""
    return None if details.pulls_counted_since is None else _shown(found)


def of_images(rows: Sequence[ContainerRepository]) -> dict[str, Shown | None]:
    """Of whole images, by path; None where the registry counts none.

    Raises `RegistryUnavailable`, `RegistryRefused`.
    """
    return repositories.ask_of_each(rows, _of_image)


def _of_image(registry: Registry, path: str) -> Shown | None:
    own = registry.own
    return _shown(own.pulls(path, days=DAYS)) if own is not None else None


def _shown(found: Iterable[DailyPulls]) -> Shown:
    whole: Counter[str] = Counter()
    by_day: dict[dt.date, Counter[str]] = {}
    for each in found:
        by_day.setdefault(each.day, Counter())[each.credential] += each.pulls
        whole[each.credential] += each.pulls
    days = [Day(day, kinds.total(), _in_words(kinds)) for day, kinds in by_day.items()]
    return Shown(days[:DAYS], whole.total(), _in_words(whole))


def _in_words(kinds: Counter[str]) -> str:
    """``12 by CI jobs, 3 by visitors``"""
    return ", ".join(
        f"{pulls:,} {_WORDS.get(kind, 'otherwise')}" for kind, pulls in kinds.most_common()
    )
