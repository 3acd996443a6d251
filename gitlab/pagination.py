"""Lists by pages, for pages and API alike: each page is found by its key, and costs what the first
does.

A key names the row beside the page: after it, or before it, the page begins. One that nothing has
any more still says where that was, so a row that goes between two pages makes none be missed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet

from gitlab.refusals import Invalid

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, and the keys to ask for those around them with ("" where there are none)."""

    rows: Sequence[Row]
    next_after: str = ""
    previous_before: str = ""


def page(
    rows: QuerySet[Row],
    *order: str,
    after: str = "",
    before: str = "",
    limit: int = 20,
) -> Page[Row]:
    """At most `limit` rows: those that follow the key `after`, or precede `before`.

    `order` are columns or annotations as in `order_by`, which an index has in this order and which
    together name one row: ``"full_path"``, or ``"-created_at", "-id"``. Raises `Invalid` for a key
    that is none.
    """
    key = before or after
    wanted = [_turned(column) for column in order] if before else list(order)
    if key:
        rows = rows.filter(_beyond(wanted, _values(rows, order, key)))
    found = list(rows.order_by(*wanted)[: limit + 1])
    shown, has_more = found[:limit], len(found) > limit
    if before:
        shown.reverse()
    if not shown:
        return Page([])
    has_next, has_previous = (True, has_more) if before else (has_more, bool(after))
    return Page(
        shown,
        next_after=key_of(shown[-1], *order) if has_next else "",
        previous_before=key_of(shown[0], *order) if has_previous else "",
    )


def key_of(row: Model, *order: str) -> str:
    """What names a row in a list of this order. A single text stands for itself."""
    values = [getattr(row, column.removeprefix("-")) for column in order]
    if len(values) == 1 and isinstance(values[0], str):
        return values[0]
    return json.dumps(values, default=str, separators=(",", ":"))


def _field(rows: QuerySet[Any], column: str) -> Any:
    annotation = rows.query.annotations.get(column)
    if annotation is not None:
        return annotation.output_field
    return rows.model._meta.get_field(column)  # noqa: SLF001


def _values(rows: QuerySet[Any], order: Sequence[str], key: str) -> list[Any]:
    fields = [_field(rows, column.removeprefix("-")) for column in order]
    if len(fields) == 1 and fields[0].get_internal_type() in ("CharField", "TextField"):
        return [key]
    try:
        given = json.loads(key)
        if not isinstance(given, list) or len(given) != len(fields):
            raise ValueError("a value for each column")
        return [_value(field, value) for field, value in zip(fields, given, strict=True)]
    except (ValueError, TypeError, OverflowError, RecursionError, ValidationError) as error:
        raise Invalid({"cursor": "This is no key of a page of this list."}) from error


def _value(field: Any, given: Any) -> Any:
    """What a database can be asked about. Raises what stands above."""
    value = field.to_python(given)
    if value is None or (isinstance(value, str) and "\0" in value):
        raise ValueError("no value of a row")
    return value


def _beyond(order: Sequence[str], values: Sequence[Any]) -> Q:
    """The rows that come after the values in this order."""
    beyond, same = Q(), Q()
    for column, value in zip(order, values, strict=True):
        name = column.removeprefix("-")
        comparison = "lt" if column.startswith("-") else "gt"
        beyond |= same & Q(**{f"{name}__{comparison}": value})
        same &= Q(**{name: value})
    return beyond


def _turned(column: str) -> str:
    return column[1:] if column.startswith("-") else f"-{column}"
