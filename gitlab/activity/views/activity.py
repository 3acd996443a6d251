"""The activity of a project and of a group: who did what, the latest first, by pages."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from gitlab import pagination
from gitlab.activity import reading
from gitlab.activity.views.lines import lines_of
from gitlab.audit.models import AuditEvent
from gitlab.audit.queries import ORDER
from gitlab.namespaces import loaders
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import group_frame, project_frame
from gitlab.refusals import Invalid
from gitlab.ui.decorators import or_sign_in, signed_in

PAGE = 30


@or_sign_in
@require_safe
def project(request: HttpRequest, path: str) -> HttpResponse:
    """What happened in a project, as far as one's role there goes."""
    found = loaders.get_project_for(request.user, path)
    frame = project_frame(found, request.user, "activity", ("Activity", ""))
    kind = _kind(request)
    return _answer(request, reading.in_project(request.user, found, kind), kind, frame)


@signed_in
@require_safe
def group(request: HttpRequest, path: str) -> HttpResponse:
    """What happened at and below a group, for those who belong to it."""
    found = loaders.get_namespace_for(request.user, path)
    needed = Ability.READ_MEMBERS if found.is_group else Ability.CREATE_PROJECT
    loaders.require_in_namespace(request.user, found, needed)
    frame = group_frame(found, request.user, "activity", ("Activity", ""))
    kind = _kind(request)
    return _answer(request, reading.in_group(request.user, found, kind), kind, frame)


def _kind(request: HttpRequest) -> str:
    asked = request.GET.get("kind", "")
    return asked if asked in reading.KINDS else ""


def _answer(
    request: HttpRequest, rows: QuerySet[AuditEvent], kind: str, frame: dict[str, Any]
) -> HttpResponse:
    given = {name: request.GET.get(name, "")[:255] for name in ("after", "before")}
    try:
        page = pagination.page(rows, *ORDER, limit=PAGE, **given)
    except Invalid as error:
        raise BadRequest("This is no key of a page.") from error

    def link(**more: str) -> str:
        asked = {name: text for name, text in {"kind": kind, **more}.items() if text}
        return "?" + urlencode(asked)

    context = frame | {
        "kind": kind,
        "lines": lines_of(page.rows),
        "tabs": [
            {"label": label, "url": f"?kind={each}" if each else "?", "active": each == kind}
            for each, label in (("", "All"), *((each, each.capitalize()) for each in reading.KINDS))
        ],
        "next_url": link(after=page.next_after) if page.next_after else "",
        "previous_url": link(before=page.previous_before) if page.previous_before else "",
    }
    return render(request, "activity/activity.html", context)
