"""What was pulled how often, for GitLab's pages: never on the path of a pull."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import Max, Sum
from django.utils import timezone

from registry.models import Counting, DailyPulls, ManifestPulls

RECENT_DAYS = 30
"""Days, today included, whose pulls are told with a repository."""

MAX_DAYS = 366
"""Days of one answer, today included."""

_BATCH = 500


@dataclass(frozen=True)
class Pulled:
    """How often something was pulled, and when the last time was."""

    pulls: int = 0
    last_at: dt.datetime | None = None


NEVER = Pulled()


@dataclass(frozen=True)
class Day:
    """How often something was pulled on a day (UTC) by a kind of credential."""

    day: dt.date
    kind: str
    pulls: int


def counted_since() -> dt.datetime | None:
    """Since when this registry counts pulls: what was pulled before that nobody knows.

    None where it does not say.
    """
    return Counting.objects.filter(name="pulls").values_list("since", flat=True).first()


def of_manifests(manifest_ids: Iterable[int]) -> dict[int, Pulled]:
    """By id the manifests that were pulled since counting began; a query for all of them."""
    ids = sorted(set(manifest_ids))
    found: dict[int, Pulled] = {}
    for start in range(0, len(ids), _BATCH):
        rows = ManifestPulls.objects.filter(manifest_id__in=ids[start : start + _BATCH])
        for manifest_id, pulls, last_at in rows.values_list("manifest_id", "pulls", "last_at"):
            found[manifest_id] = Pulled(pulls, last_at)
    return found


def of_repository(repository_id: int) -> Pulled:
    """A repository's pulls in the last `RECENT_DAYS`, and its last pull since counting began."""
    last = ManifestPulls.objects.filter(repository_id=repository_id).aggregate(at=Max("last_at"))
    recent = DailyPulls.objects.filter(
        repository_id=repository_id, digest="", tag="", day__gt=_days_ago(RECENT_DAYS)
    ).aggregate(pulls=Sum("pulls"))
    return Pulled(recent["pulls"] or 0, last["at"])


def by_day(repository_id: int, *, digest: str = "", tag: str = "", days: int) -> list[Day]:
    """The pulls of the last `days`, today included, the latest first, by kind of credential.

    With `digest` those of a manifest, by whatever reference; with `tag` those that asked for what
    a tag pointed at; else those of the whole repository, where what an index lists is a part of
    the pull of the index. At most `MAX_DAYS`, so that an answer has an end.
    """
    rows = DailyPulls.objects.filter(
        repository_id=repository_id, day__gt=_days_ago(min(days, MAX_DAYS))
    )
    rows = rows.filter(tag=tag, tag__gt="") if tag else rows.filter(digest=digest, tag="")
    sums = rows.values_list("day", "kind").annotate(all=Sum("pulls")).order_by("-day", "kind")
    return [Day(day, kind, pulls) for day, kind, pulls in sums]


def _days_ago(days: int) -> dt.date:
    """The day before the last `days`."""
    return timezone.now().date() - dt.timedelta(days=days)
