"""What stands around the tables of the console: order, filters, pages, their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest

from gitlab.admin_area import measured
from gitlab.namespaces.views.listing import Orders, page_of, sort_of
from gitlab.pagination import Page

SHOWN = 50


def asked(request: HttpRequest, name: str) -> str:
    """A parameter of the address. PostgreSQL has no word for a NUL."""
    return request.GET.get(name, "").replace("\0", "")[:255]


def table(
    request: HttpRequest,
    rows: QuerySet[Any],
    orders: Orders,
    nouns: tuple[str, str],
    *,
    usual: str = "",
) -> dict[str, Any]:
    """The page of `rows` that the address asks for, and what stands around it. `usual` is the order
    where it asks for none.
    """
    page: Page[Any] = page_of(request, rows, orders, limit=SHOWN, usual=usual)
    count = rows.count()
    return {
        "rows": page.rows,
        "sort": sort_of(request, orders, usual),
        "count": count,
        "count_text": f"{count:,} {nouns[0] if count == 1 else nouns[1]}",
        "previous_url": _address(request, "before", page.previous_before),
        "next_url": _address(request, "after", page.next_after),
    }


def table_with_sizes(
    request: HttpRequest,
    rows: QuerySet[Any],
    orders: Orders,
    nouns: tuple[str, str],
    *,
    of: str,
    usual: str = "",
) -> dict[str, Any]:
    """As `table`, where ``size`` is one of the orders, and `rows` are `of` a column of measures.

    What has no measure yet has no place in that order: how many those are is told.
    """
    if sort_of(request, orders, usual).removeprefix("-") != "size":
        return table(request, rows, orders, nouns, usual=usual)
    found = table(request, measured.by_size(rows, of), orders, nouns, usual=usual)
    missing = rows.count() - found["count"]
    if missing > 0:
        found["count_text"] += f" by size, and {missing:,} not measured yet"
    return found


def _address(request: HttpRequest, name: str, key: str) -> str:
    if not key:
        return ""
    query = request.GET.copy()
    for word in ("after", "before"):
        query.pop(word, None)
    query[name] = key
    return f"?{query.urlencode()}"


def named(names: Sequence[str], most: int = 10) -> str:
    """``a, b and c``; of more than `most` the rest is counted."""
    shown = list(names[:most])
    if len(names) > most:
        shown.append(f"{len(names) - most:,} more")
    if len(shown) < 2:
        return "".join(shown)
    return f"{', '.join(shown[:-1])} and {shown[-1]}"
