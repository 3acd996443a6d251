"""What is stored, used and limited at a project, a group, a person's own namespace, an image."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_safe

from gitlab import pagination
from gitlab.container_registry import repositories
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.views.image_pages import name_of
from gitlab.namespaces import loaders
from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.sidebars import group_frame, project_frame
from gitlab.namespaces.views.listing import Orders, columns_of
from gitlab.quotas import services
from gitlab.quotas.forms import QuotaForm
from gitlab.quotas.services import Use
from gitlab.quotas.views import presentation
from gitlab.refusals import Invalid
from gitlab.storage import reading
from gitlab.storage.models import Measure
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_FIELDS = {"max_bytes": "size", "max_images": "max_images"}
_BY_BYTES: Orders = {
    "size": ("size_bytes", "id"),
    "alone": ("alone_bytes", "id"),
}
"""What the parts may be sorted by."""

_LARGEST_FIRST = "-size"
_PARTS = 20


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def storage(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """Where the bytes are, what is used of each limit, and for who may the form of the limit."""
    owner = _load(request, kind, path)
    by, quota = person(request), services.of(owner)
    form = None
    if services.may_set(by, owner, quota):
        form = QuotaForm(request.POST or None, initial=QuotaForm.initial_of(quota))
    if request.method == "POST" and form is None:
        # For its refusal, which says why.
        services.set_quota(by, owner, max_bytes=None, max_images=None)
    if request.method == "POST" and form is not None and form.is_valid():
        try:
            services.set_quota(by, owner, **form.cleaned_data)
        except ValidationError as error:
            for argument, messages in error.message_dict.items():
                form.add_error(_FIELDS.get(argument), messages)
        else:
            add_toast(request, "The limits hold from the next request on.")
            return redirect(request.path)
    rows, trouble = _rows(request, owner)
    frame: Any = project_frame if isinstance(owner, Project) else group_frame
    context = frame(owner, request.user, "storage", ("Storage", "")) | {
        "full_path": owner.full_path,
        "rows": rows,
        "trouble": trouble,
        "form": form,
        "set_by_admin": bool(quota and quota.set_by_admin),
        **_stored(request, owner),
    }
    return render(request, "quotas/storage.html", context)


@signed_in
@require_safe
def image(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """Where the bytes of an image are: its tags by what each holds alone."""
    found = repositories.get_container_repository_for(request.user, pk, project=path)
    project = found.project
    services.require_reading(request.user, project)
    measure = reading.of(found)
    up = ("Storage", presentation.url_inside(project))
    context = project_frame(project, request.user, "storage", up, (name_of(found), ""))
    context |= {"full_path": found.path, "image": found, "measure": measure}
    if measure is not None:
        drawn = presentation.drawing_of(found, measure)
        context |= drawn | {
            "parts": presentation.rows_of_tags(found, drawn["division"], measure),
            "cheapest": presentation.cheapest_in(reading.Sight(request.user, project), found),
        }
    return render(request, "quotas/image.html", context)


def _stored(request: HttpRequest, owner: Routable) -> dict[str, Any]:
    """What was measured of a project or namespace, for who may look inside."""
    sight = reading.Sight(request.user, owner)
    if not sight.inside:
        return {}
    measure = reading.of(owner)
    if measure is None:
        return {"looks_inside": True}
    return {
        "looks_inside": True,
        "measure": measure,
        "growth": presentation.growth_of(owner),
        "cheapest": presentation.cheapest_in(sight, owner),
        **presentation.drawing_of(owner, measure),
        **presentation.links_of(owner),
        **_parts(request, owner, measure),
    }


def _parts(request: HttpRequest, owner: Routable, measure: Measure) -> dict[str, Any]:
    """The page of parts that the address asks for, the largest first unless it says otherwise."""
    asked = request.GET.get("sort", "")
    sort = asked if asked.removeprefix("-") in _BY_BYTES else _LARGEST_FIRST
    keys = {key: request.GET.get(key, "")[:100] for key in ("after", "before")}
    rows = reading.with_names(reading.parts_of(owner))
    order = columns_of(sort, _BY_BYTES)
    try:
        page = pagination.page(rows, *order, limit=_PARTS, **keys)
    except Invalid:
        # A key of another order, or typed by hand.
        page = pagination.page(rows, *order, limit=_PARTS)

    def link(**key: str) -> str:
        kept = {} if sort == _LARGEST_FIRST else {"sort": sort}
        return "?" + urlencode(kept | key)

    return {
        "parts": presentation.rows_of(page.rows, measure),
        "sort": sort,
        "next_url": link(after=page.next_after) if page.next_after else "",
        "previous_url": link(before=page.previous_before) if page.previous_before else "",
    }


def _load(request: HttpRequest, kind: str, path: str) -> Routable:
    if kind == "project":
        project: Routable = loaders.get_project_for(request.user, path)
        return project
    return loaders.get_namespace_for(request.user, path)


def _rows(request: HttpRequest, owner: Routable) -> tuple[list[dict[str, Any]], str]:
    """What the page says of each limit, and why it can't say it. Raises `NotFound`, `Forbidden`."""
    try:
        uses = services.uses(request.user, owner)
    except RegistryUnavailable:
        return [], "The registry does not answer: what is used can't be said now."
    except RegistryRefused as error:
        return [], f"What is used can't be said: {error}."
    return [_row(use) for use in uses], ""


def _row(use: Use) -> dict[str, Any]:
    return {
        "use": use,
        "path": use.limit.path,
        "url": reverse("namespaces:overview", kwargs={"path": use.limit.path}),
        "ask": "an administrator" if use.limit.by_admin else f"an owner of {use.limit.path}",
    }
