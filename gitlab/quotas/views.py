"""What is used and limited at a project, a group, a person's own namespace; and the form."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.namespaces import loaders
from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.sidebars import group_frame, project_frame
from gitlab.quotas import services
from gitlab.quotas.forms import QuotaForm
from gitlab.quotas.services import Use
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_FIELDS = {"max_bytes": "size", "max_images": "max_images"}


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def storage(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """How much is used of each limit, and for who may the form of the limit here."""
    owner = _load(request, kind, path)
    services.require_reading(request.user, owner)
    by = person(request)
    form = None
    if services.may_set(by, owner):
        form = QuotaForm(request.POST or None, initial=QuotaForm.initial_of(services.of(owner)))
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
        "set_by_admin": bool((quota := services.of(owner)) and quota.set_by_admin),
    }
    return render(request, "quotas/storage.html", context)


def _load(request: HttpRequest, kind: str, path: str) -> Routable:
    if kind == "project":
        project: Routable = loaders.get_project_for(request.user, path)
        return project
    return loaders.get_namespace_for(request.user, path)


def _rows(request: HttpRequest, owner: Routable) -> tuple[list[dict[str, Any]], str]:
    """What the page says of each limit, and why it can't say it."""
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
