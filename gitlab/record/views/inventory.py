"""The administrators' inventory: a tab a list, an export of each, a remedy for each row."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import BadRequest, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods

from gitlab import pagination
from gitlab.audit import export
from gitlab.record import inventory
from gitlab.record.inventory import COLUMNS, INVENTORIES, ORDER, Inventory, as_row
from gitlab.refusals import Invalid
from gitlab.ui.decorators import person
from gitlab.ui.toasts import add_toast

PAGE = 50
MOST = 100_000
"""Rows that one export holds."""


@require_http_methods(["GET", "HEAD", "POST"])
def listed(request: HttpRequest, key: str) -> HttpResponse:
    """One list. POST does to the row `pk` what the list is for."""
    found = INVENTORIES.get(key)
    if found is None:
        raise Http404
    here = reverse("record:inventory", args=[key])
    if request.method == "POST":
        _mend(request, key)
        return redirect(here)
    if request.GET.get("format") == "csv":
        return _exported(key, found)
    given = {name: request.GET.get(name, "")[:255] for name in ("after", "before")}
    try:
        page = pagination.page(found.rows(), ORDER, limit=PAGE, **given)
    except Invalid as error:
        raise BadRequest("This is no key of a page.") from error
    keys = (
        ("next_url", "after", page.next_after),
        ("previous_url", "before", page.previous_before),
    )
    context: dict[str, Any] = admin.site.each_context(request) | {
        "title": "Inventory",
        "inventory": found,
        "lines": [found.line(row) for row in page.rows],
        "tabs": [
            {
                "label": each.title,
                "url": reverse("record:inventory", args=[name]),
                "active": name == key,
            }
            for name, each in INVENTORIES.items()
        ],
        **{name: f"?{urlencode({word: value})}" if value else "" for name, word, value in keys},
    }
    return TemplateResponse(request, "admin/inventory.html", context)


def _mend(request: HttpRequest, key: str) -> None:
    given = request.POST.get("pk", "")
    pk = int(given) if given.isascii() and given.isdecimal() and len(given) < 19 else 0
    try:
        found = inventory.mend(person(request), key, pk)
    except ValidationError as error:
        add_toast(request, " ".join(error.messages), tone="bad")
    else:
        add_toast(request, f"{found.verb}: done.")


def _exported(key: str, found: Inventory) -> HttpResponse:
    lines = export.csv_lines((as_row(found.line(row)) for row in _rows(found)), COLUMNS)
    answer: Any = StreamingHttpResponse(lines, content_type="text/csv; charset=utf-8")
    name = f"{key}-{timezone.now():%Y%m%d}.csv"
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer


def _rows(found: Inventory) -> Iterator[Any]:
    after, left = "", MOST
    while left > 0:
        page = pagination.page(found.rows(), ORDER, after=after, limit=min(export.PAGE, left))
        yield from page.rows
        left -= len(page.rows)
        after = page.next_after
        if not after:
            return
