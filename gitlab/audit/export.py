"""Audit events for whoever keeps them longer than Berth, row by row, as JSON lines and as CSV."""

from __future__ import annotations

import csv
import datetime as dt
import io
import json
from collections.abc import Iterable, Iterator
from typing import Any

from django.db.models import QuerySet

from gitlab import pagination
from gitlab.audit.models import AuditEvent
from gitlab.audit.queries import ORDER

PAGE = 1000
"""Events that are in memory at once."""

COLUMNS = (
    "id",
    "at",
    "actor",
    "actor_id",
    "action",
    "target_type",
    "target_id",
    "target_path",
    "details",
    "address",
    "credential",
    "request_id",
    "project_id",
    "namespace_id",
    "person_id",
    "position",
    "digest",
)

Row = dict[str, Any]


def rows(*, after: int = 0, before: dt.datetime | None = None) -> Iterator[Row]:
    """The events behind the id `after`, in order of id; those that happened before `before`."""
    found = AuditEvent.objects.order_by("pk")
    if before is not None:
        found = found.filter(at__lt=before)
    while page := list(found.filter(pk__gt=after)[:PAGE]):
        yield from map(as_row, page)
        after = page[-1].pk


def newest(found: QuerySet[AuditEvent], most: int) -> Iterator[AuditEvent]:
    """At most so many of `found`, the newest first, a page in memory at a time."""
    after = ""
    while most > 0:
        page = pagination.page(found, *ORDER, after=after, limit=min(PAGE, most))
        yield from page.rows
        most -= len(page.rows)
        after = page.next_after
        if not after:
            return


def as_row(event: AuditEvent) -> Row:
    """An event as it is handed out, by `COLUMNS`."""
    values = (
        event.pk,
        event.at.astimezone(dt.UTC).isoformat(timespec="microseconds"),
        event.actor_name,
        event.actor_id,
        event.action,
        event.target_type,
        event.target_id,
        event.target_path,
        event.details,
        event.address,
        event.credential,
        event.request_id,
        event.project_pk,
        event.namespace_pk,
        event.person_pk,
        event.chain_position,
        event.digest,
    )
    return dict(zip(COLUMNS, values, strict=True))


def json_line(row: Row) -> str:
    """One line, with its end."""
    return json.dumps(row, ensure_ascii=False) + "\n"


def json_lines(found: Iterable[Row]) -> Iterator[str]:
    """A line for each."""
    return map(json_line, found)


def csv_lines(found: Iterable[Row], columns: Iterable[str] = COLUMNS) -> Iterator[str]:
    """A line of names, and one for each row (RFC 4180).

    A text that a spreadsheet would take for a formula has an apostrophe before it.
    """
    names = list(columns)
    yield _csv_line(names)
    for row in found:
        yield _csv_line([_cell(row[name]) for name in names])


def _csv_line(values: list[Any]) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(values)
    return out.getvalue()


def _cell(value: Any) -> Any:
    if isinstance(value, dict | list):
        value = json.dumps(value, ensure_ascii=False) if value else ""
    if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")):
        return f"'{value}"
    return value
