"""What a tag has pointed at: its history as intervals, or those of one day."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from django.utils import timezone

from gitlab.container_registry.client.overview import Part
from gitlab.container_registry.client.responses import Interval, ManifestDetails

SHOWN = 50
"""Intervals on a page."""


@dataclass(frozen=True)
class Past:
    """An interval; `details` of what it pointed at are None where that is gone."""

    interval: Interval
    details: ManifestDetails | None = None


@dataclass(frozen=True)
class Timeline:
    """Intervals, the latest first: of one `day` (UTC), or those `behind` an interval.

    `older` is the interval behind which there is more, 0 where there is none.
    """

    shown: Sequence[Past] = ()
    day: dt.date | None = None
    behind: int = 0
    older: int = 0


def today() -> dt.date:
    """The day it is, in UTC."""
    return timezone.now().date()


def part(behind: int = 0, day: dt.date | None = None) -> Part:
    """What is asked of the registry for a page of a history: behind an interval, or of a day."""
    end = _begin(day) + dt.timedelta(days=1) if day and day < dt.date.max else None
    return Part(SHOWN + 1, behind, end)


def of(
    found: Sequence[Interval],
    known: Mapping[str, ManifestDetails],
    *,
    behind: int = 0,
    day: dt.date | None = None,
) -> Timeline:
    """The history of a tag, of which `part` was asked: a page of it, or what it was on a day.

    A tag is on a day what it was at any moment of it: what it pointed at when the day began is the
    last of them. `known` has by digest what is there of what it pointed at.
    """
    if day is not None:
        found = [past for past in found if past.until is None or past.until > _begin(day)]
    shown = found[:SHOWN]
    return Timeline(
        [Past(past, known.get(past.digest)) for past in shown],
        day,
        behind,
        shown[-1].id if len(found) > SHOWN else 0,
    )


def _begin(day: dt.date) -> dt.datetime:
    return dt.datetime.combine(day, dt.time(), dt.UTC)
