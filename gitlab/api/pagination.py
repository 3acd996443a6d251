"""Lists by pages, as GitLab does them: by number with totals, or by key with ``Link`` alone.

Source: https://docs.gitlab.com/api/rest/#pagination. A page by number costs what it skips, so how
much may be skipped has a bound; one by key costs what the first one does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from django.db.models import Model, QuerySet
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab import pagination
from gitlab.api.errors import ApiError, BadParameter
from gitlab.api.parameters import Parameters, choice, text
from gitlab.api.paths import url_path
from gitlab.refusals import Invalid

DEFAULT = 20
MOST = 100
"""Rows of a page. Who asks for more gets so many."""

COUNTED = 10_000
"""Of longer lists the totals are left out: counting them would cost more than the page."""

SKIPPED = 50_000
"""The most rows before a page that is asked for by number."""

_SECRETS = ("private_token", "access_token", "job_token")

Orders = Mapping[str, tuple[str, ...]]
"""What a list can be ordered by: the name of the order → columns that together name a row."""


class PageParameters(Parameters):
    """Which part of a list is asked for."""

    page = serializers.IntegerField(required=False, min_value=1, max_value=2**31)
    per_page = serializers.IntegerField(required=False, min_value=1, max_value=2**31)
    pagination = choice(["keyset", "legacy"])
    cursor = text()


def ordering(given: Mapping[str, Any], orders: Orders, default: str) -> tuple[str, ...]:
    """The columns to order by. `default` is a name of `orders`, with a minus for descending."""
    name = given.get("order_by", default.removeprefix("-"))
    descending = given["sort"] == "desc" if "sort" in given else default.startswith("-")
    columns = orders[name]
    return tuple(f"-{column}" for column in columns) if descending else columns


def sorting(orders: Sequence[str]) -> type[PageParameters]:
    """The parameters of a list with these orders."""
    fields = {"order_by": choice(list(orders)), "sort": choice(["asc", "desc"])}
    return type("SortedPageParameters", (PageParameters,), fields)


def per_page(given: Mapping[str, Any]) -> int:
    """How many rows a page has."""
    return min(int(given.get("per_page", DEFAULT)), MOST)


class Listed:
    """Some rows of a list, and the header fields that lead to the others."""

    def __init__(self, rows: Sequence[Any], headers: Mapping[str, str]) -> None:
        self.rows, self.headers = rows, headers

    def response(self, data: Any) -> Response:
        """The page, with what is shown of its rows."""
        return Response(data, headers=dict(self.headers))


def page_of(
    request: Request, given: Mapping[str, Any], rows: QuerySet[Any], order: Sequence[str]
) -> Listed:
    """A page of `rows` in this order. Raises `BadParameter`, and `ApiError` too far behind."""
    if given.get("pagination") == "keyset":
        return _by_key(request, given, rows, order)
    number, size = int(given.get("page", 1)), per_page(given)
    skipped = (number - 1) * size
    if skipped > SKIPPED:
        raise too_far()
    found = list(rows.order_by(*order)[skipped : skipped + size + 1])
    total = _count(rows, skipped, len(found), size)
    return Listed(found[:size], by_number(request, number, size, total, more=len(found) > size))


def too_far(most: int = SKIPPED) -> ApiError:
    """What is behind so many rows is found by key alone."""
    return ApiError(
        405,
        {
            "error": f"Offset pagination has a maximum allowed offset of {most}. Remaining"
            " records can be retrieved using keyset pagination."
        },
    )


def _count(rows: QuerySet[Any], skipped: int, found: int, size: int) -> int | None:
    """How many rows there are, None for more than `COUNTED`. The last page tells by itself."""
    if found <= size and (found or not skipped):
        total = skipped + found
    else:
        total = rows.order_by()[: COUNTED + 1].count()
    return total if total <= COUNTED else None


def by_number(
    request: Request, number: int, size: int, total: int | None, *, more: bool
) -> dict[str, str]:
    """The header fields of page `number` of `size` rows; `total` is None where nobody knows."""
    fields = {
        "X-Page": str(number),
        "X-Per-Page": str(size),
        "X-Prev-Page": str(number - 1) if number > 1 else "",
        "X-Next-Page": str(number + 1) if more else "",
    }
    pages = {"prev": number - 1 if number > 1 else 0, "next": number + 1 if more else 0, "first": 1}
    if total is not None:
        last = max(1, math.ceil(total / size))
        fields |= {"X-Total": str(total), "X-Total-Pages": str(last)}
        pages["last"] = last
    links = [
        _link(request, relation, page=str(page), per_page=str(size))
        for relation, page in pages.items()
        if page
    ]
    return {**fields, "Link": ", ".join(links)}


def _by_key(
    request: Request, given: Mapping[str, Any], rows: QuerySet[Model], order: Sequence[str]
) -> Listed:
    size = per_page(given)
    try:
        found = pagination.page(rows, *order, after=given.get("cursor", ""), limit=size)
    except Invalid as error:
        raise BadParameter("cursor is invalid") from error
    return Listed(found.rows, by_key(request, size, {"cursor": found.next_after}))


def by_key(request: Request, size: int, following: Mapping[str, str]) -> dict[str, str]:
    """The header fields of a page by key; `following` are the parameters that lead to the next,
    with empty values where there is none.
    """
    fields = {"X-Per-Page": str(size)}
    if all(following.values()):
        fields["Link"] = _link(request, "next", per_page=str(size), **following)
    return fields


def _link(request: Request, relation: str, **changed: str) -> str:
    """One of the links: this address with some parameters changed, and without its token."""
    query = [
        (name, value)
        for name, values in request.query_params.lists()
        if name not in changed and name not in _SECRETS
        for value in values
    ]
    host = f"{request.scheme}://{request.get_host()}"
    path = url_path(request.path)
    return f'<{host}{path}?{urlencode([*query, *changed.items()])}>; rel="{relation}"'
