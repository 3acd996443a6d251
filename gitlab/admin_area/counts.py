"""Many counts in one query: the overview asks a dozen, and each would be a question of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db.models import CharField, Count, QuerySet, Value


def counted(questions: Mapping[str, QuerySet[Any]]) -> dict[str, int]:
    """How many rows each of the queries has, by its name."""
    parts = [
        rows.order_by()
        .annotate(counted_as=Value(name, output_field=CharField()))
        .values("counted_as")
        .annotate(rows_counted=Count("pk"))
        .values_list("counted_as", "rows_counted")
        for name, rows in questions.items()
    ]
    first, *others = parts
    found = dict(first.union(*others, all=True))
    # What has no row is in no group.
    return {name: found.get(name, 0) for name in questions}
