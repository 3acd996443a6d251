"""What the job of `gitlab.storage` has measured, beside the rows of the console's lists: no page
adds up what is stored, and none asks the registry for it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from django.db.models import F, QuerySet

from gitlab.storage.models import Measure

BY_SIZE = ("stored", "measure_pk")
"""The columns that `by_size` adds. An index has projects in this order, and one images; groups are
few, and are sorted.
"""


def by_size(rows: QuerySet[Any], of: str) -> QuerySet[Any]:
    """Those of `rows` that have a measure, with `BY_SIZE`. `of` is the measure's column of them:
    ``namespace``, ``project`` or ``repository``.
    """
    # Said again of the measure itself: the index holds only those.
    there = rows.filter(**{f"measure__{of}__isnull": False})
    return there.annotate(stored=F("measure__size_bytes"), measure_pk=F("measure__id"))


def measures_of(of: str, pks: Iterable[int]) -> dict[int, Measure]:
    """The measures of some groups, projects or images, by the id of each; what was not measured yet
    is missing. One query.
    """
    rows = Measure.objects.filter(measured_at__isnull=False, **{f"{of}__in": list(pks)})
    return {getattr(row, f"{of}_id"): row for row in rows.defer("shares")}


def any_measured(of: str) -> bool:
    """Whether any group, project or image was measured: none is where the registry is not ours."""
    return Measure.objects.filter(**{f"{of}__isnull": False}, measured_at__isnull=False).exists()


def oldest(measures: Iterable[Measure | None]) -> dt.datetime | None:
    """When the first of them was measured."""
    moments = (each.measured_at for each in measures if each is not None)
    return min((moment for moment in moments if moment is not None), default=None)
