"""Why was I denied: the list of one's own, of a project, of everything, and one by its id."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.template.response import TemplateResponse
from django.views.decorators.http import require_safe

from gitlab import pagination
from gitlab.audit.models import Denial
from gitlab.namespaces import loaders
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import group_frame, home_frame, project_frame
from gitlab.record import denials
from gitlab.refusals import Invalid
from gitlab.ui.decorators import person, signed_in

PAGE = 50


@signed_in
@require_safe
def own(request: HttpRequest) -> HttpResponse:
    """One's own. An id that is typed leads to its page."""
    if reference := _typed(request):
        return redirect("record:denial", reference)
    frame = home_frame(request.user, "denials", ("Your account", ""), ("Denials", ""))
    return _list(request, denials.of_person(person(request)), frame | {"is_own": True})


def _typed(request: HttpRequest) -> str:
    """The id of a denial that somebody looks for, "" where nobody does."""
    return request.GET.get("q", "").strip().strip("/")[:16]


@signed_in
@require_safe
def one(request: HttpRequest, reference: str) -> HttpResponse:
    """One, for whom it concerns and who looks after the place."""
    found = denials.find_for(person(request), reference)
    crumbs = (("Your account", ""), ("Denials", "/-/denials"), (found.reference, ""))
    context = home_frame(request.user, "denials", *crumbs) | {"denial": found}
    return render(request, "record/denial.html", context)


@signed_in
@require_safe
def project(request: HttpRequest, path: str) -> HttpResponse:
    """Those of everybody in a project, for its maintainers."""
    found = loaders.get_project_for(request.user, path, Ability.ADMIN_PROJECT)
    frame = project_frame(found, request.user, "denials", ("Denials", ""))
    return _list(request, denials.in_project(found), frame)


@signed_in
@require_safe
def group(request: HttpRequest, path: str) -> HttpResponse:
    """Those at a group itself, for its owners: of its tokens, and of what is no project yet."""
    found = loaders.get_group_for(request.user, path, Ability.ADMIN_GROUP)
    frame = group_frame(found, request.user, "denials", ("Denials", ""))
    return _list(request, denials.in_group(found), frame)


@require_safe
def instance(request: HttpRequest) -> HttpResponse:
    """All, for administrators: the console's door has let in nobody else. An id that is typed
    leads to its page.
    """
    if reference := _typed(request):
        return redirect("record:denial", reference)
    frame = admin.site.each_context(request) | {"title": "Denials"}
    return _list(request, denials.everywhere(), frame, "admin/denials.html")


def _list(
    request: HttpRequest,
    rows: QuerySet[Denial],
    frame: dict[str, Any],
    template: str = "record/denials.html",
) -> HttpResponse:
    given = {name: request.GET.get(name, "")[:255] for name in ("after", "before")}
    try:
        page = pagination.page(rows, *denials.ORDER, limit=PAGE, **given)
    except Invalid as error:
        raise BadRequest("This is no key of a page.") from error
    keys = {
        "next_url": ("after", page.next_after),
        "previous_url": ("before", page.previous_before),
    }
    context = frame | {
        "denials": page.rows,
        **{name: f"?{urlencode({word: key})}" if key else "" for name, (word, key) in keys.items()},
    }
    if template.startswith("admin/"):
        return TemplateResponse(request, template, context)
    return render(request, template, context)
