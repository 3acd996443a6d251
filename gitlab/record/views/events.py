"""What happened: everywhere, in a group, in a project, by and to oneself. To read and to export."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_safe

from gitlab import pagination
from gitlab.audit import export, services
from gitlab.audit.models import AuditEvent
from gitlab.audit.queries import ORDER
from gitlab.namespaces import loaders, queries
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import group_frame, home_frame, project_frame
from gitlab.principals import Person
from gitlab.record.forms import FilterForm
from gitlab.record.summaries import shown
from gitlab.refusals import Invalid
from gitlab.ui.decorators import person, signed_in

PAGE = 50
MOST = 100_000
"""Events that one export holds; more by ``manage.py audit export``."""

_TYPES = {
    "csv": ("text/csv; charset=utf-8", export.csv_lines),
    "jsonl": ("application/x-ndjson", export.json_lines),
}


@require_safe
def instance(request: HttpRequest) -> HttpResponse:
    """All events, for administrators: the console's door has let in nobody else."""
    frame = admin.site.each_context(request) | {"title": "Audit log"}
    return _answer(request, AuditEvent.objects.all(), frame, "admin/audit_log.html")


@signed_in
@require_safe
def group(request: HttpRequest, path: str) -> HttpResponse:
    """What happened to a group and in it, for its owners."""
    found = loaders.get_group_for(request.user, path, Ability.ADMIN_GROUP)
    rows = services.events_in_namespaces(queries.at_or_below(found).values("pk"))
    frame = group_frame(found, request.user, "audit", ("Audit log", ""))
    return _answer(request, rows, frame)


@signed_in
@require_safe
def project(request: HttpRequest, path: str) -> HttpResponse:
    """What happened to a project and in it, for its maintainers."""
    found = loaders.get_project_for(request.user, path, Ability.ADMIN_PROJECT)
    frame = project_frame(found, request.user, "audit", ("Audit log", ""))
    frame["pulls_url"] = reverse("record:project_pulls", kwargs={"path": found.full_path})
    return _answer(request, services.events_in_project(found.pk), frame)


@signed_in
@require_safe
def own(request: HttpRequest) -> HttpResponse:
    """What one did, and what was done to one's account."""
    by = person(request)
    frame = home_frame(request.user, "audit", ("Your account", ""), ("Audit log", ""))
    return _answer(request, services.events_of_person(by.pk), frame, reader=by)


def _answer(
    request: HttpRequest,
    rows: QuerySet[AuditEvent],
    frame: dict[str, Any],
    template: str = "record/events.html",
    *,
    reader: Person | None = None,
) -> HttpResponse:
    form = FilterForm(request.GET or None)
    if reader is not None and form.filter.by_origin:
        # What is not shown can't be looked for either: who guesses would see that it is there.
        rows = rows.filter(actor_id=reader.pk)
    found = form.filter.of(rows)
    kind = request.GET.get("format", "")
    if kind in _TYPES:
        return _exported(kind, _seen_by(reader, export.newest(found, MOST)))
    given = {name: request.GET.get(name, "")[:255] for name in ("after", "before")}
    try:
        page = pagination.page(found, *ORDER, limit=PAGE, **given)
    except Invalid as error:
        raise BadRequest("This is no key of a page.") from error
    kept = {name: request.GET[name] for name in FilterForm.base_fields if request.GET.get(name)}

    def link(**more: str) -> str:
        return "?" + urlencode({**kept, **more})

    context = frame | {
        "form": form,
        "events": [shown(event) for event in _seen_by(reader, page.rows)],
        "is_own": reader is not None,
        "exports": [("CSV", link(format="csv")), ("JSON lines", link(format="jsonl"))],
        "next_url": link(after=page.next_after) if page.next_after else "",
        "previous_url": link(before=page.previous_before) if page.previous_before else "",
    }
    if template.startswith("admin/"):
        return TemplateResponse(request, template, context)
    return render(request, template, context)


def _seen_by(reader: Person | None, events: Iterable[AuditEvent]) -> Iterator[AuditEvent]:
    """Without where others acted from, for somebody who reads what was done to them."""
    for event in events:
        if reader is not None and event.actor_id != reader.pk:
            event.address = event.credential = event.request_id = ""
        yield event


def _exported(kind: str, events: Iterator[AuditEvent]) -> HttpResponse:
    media_type, lines = _TYPES[kind]
    name = f"audit-{timezone.now():%Y%m%d-%H%M%S}.{kind}"
    answer: Any = StreamingHttpResponse(lines(map(export.as_row, events)), content_type=media_type)
    answer["Content-Disposition"] = f'attachment; filename="{name}"'
    return answer
