"""The names of all repositories that hold something."""

from __future__ import annotations

from registry.models import Repository


def page(last: str, limit: int) -> list[str]:
    """The names after `last` in byte order, one more than `limit` where there are more."""
    found = Repository.objects.filter(closed_at=None)
    if last:
        found = found.filter(name__gt=last)
    return list(found.order_by("name").values_list("name", flat=True)[: limit + 1])
