"""What has been pushed lately, by day and by project: from the record, within a bound."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

from django.db import connection
from django.utils import timezone

from gitlab.namespaces.models import Project
from gitlab.namespaces.sidebars import registry_url
from gitlab.server.databases import rows
from gitlab.ui.components.charts import Point

DAYS = 14
LATEST = 10_000
"""Pushes that are looked at: a page waits for them."""

_BUSIEST = 8
_PUSHES = """
WITH latest AS (
    SELECT date(at) AS day, project_pk FROM audit_auditevent
    WHERE action = 'tag.push' AND at >= %s ORDER BY at DESC LIMIT %s
)
SELECT day, NULL, COUNT(*) FROM latest GROUP BY day
UNION ALL SELECT NULL, project_pk, pushes FROM (
    SELECT project_pk, COUNT(*) AS pushes FROM latest WHERE project_pk IS NOT NULL
    GROUP BY project_pk ORDER BY pushes DESC, project_pk LIMIT %s
) AS busiest
"""


class _Pushed(NamedTuple):
    """How often a tag was pushed on a day, or to a project."""

    day: dt.date | None
    project_pk: int | None
    pushes: int


@dataclass(frozen=True)
class Busy:
    """A project, and how often a tag was pushed to it."""

    project: Project
    pushes: int
    url: str


@dataclass(frozen=True)
class Pushes:
    """Pushes of tags in the last `DAYS`: a column a day, and the projects with the most.

    `is_cut`: only the last `LATEST` of them are counted.
    """

    days: list[Point]
    busiest: list[Busy]
    is_cut: bool


def last_days(count: int = DAYS) -> list[dt.date]:
    """Today (UTC) and the days before it, the first one first."""
    today = timezone.now().astimezone(dt.UTC).date()
    return [today - dt.timedelta(days=ago) for ago in reversed(range(count))]


def name_of(day: dt.date) -> str:
    """``16 Nov``."""
    return f"{day.day} {day:%b}"


def pushes() -> Pushes:
    """Two queries, however much was pushed."""
    days = last_days()
    since = dt.datetime.combine(days[0], dt.time(), dt.UTC)
    asked = [connection.ops.adapt_datetimefield_value(since), LATEST, _BUSIEST]
    by_day: Counter[dt.date] = Counter()
    by_project: Counter[int] = Counter()
    for row in rows.read(_Pushed, _PUSHES, asked):
        if row.day is not None:
            by_day[row.day] = row.pushes
        elif row.project_pk is not None:
            by_project[row.project_pk] = row.pushes
    columns = [Point(name_of(day), by_day[day], f"{by_day[day]:,}") for day in days]
    return Pushes(columns, _busiest(by_project), by_day.total() >= LATEST)


def _busiest(counts: Counter[int]) -> list[Busy]:
    most = dict(counts.most_common(_BUSIEST))
    there = Project.objects.filter(pk__in=most, pending_delete_at__isnull=True)
    busy = [Busy(row, most[row.pk], registry_url(row)) for row in there.order_by("full_path")]
    return sorted(busy, key=lambda one: -one.pushes)
