"""A project's pulls as counts, by kind of credential: a row for each would drown the others."""

from __future__ import annotations

import logging
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from gitlab import pagination
from gitlab.container_registry import pulls, repositories
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.namespaces import loaders
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import project_frame
from gitlab.refusals import Invalid
from gitlab.ui.decorators import signed_in

log = logging.getLogger(__name__)

PAGE = 20
"""Images of a page: the registry is asked once for each."""


@signed_in
@require_safe
def project(request: HttpRequest, path: str) -> HttpResponse:
    """How often each image was pulled in thirty days, and by what, for a project's maintainers."""
    found = loaders.get_project_for(request.user, path, Ability.ADMIN_PROJECT)
    rows = repositories.repositories_of(found)
    given = {
        name: request.GET.get(name, "").replace("\0", "")[:255] for name in ("after", "before")
    }
    try:
        page = pagination.page(rows, "path", limit=PAGE, **given)
    except Invalid:
        page = pagination.page(rows, "path", limit=PAGE)
    counted: dict[str, pulls.Shown | None] = {}
    trouble = ""
    try:
        counted = pulls.of_images(page.rows)
    except (RegistryUnavailable, RegistryRefused) as error:
        trouble = str(error)
        log.warning("pulls of %s: %s [%s]", found, error, getattr(request, "request_id", ""))
    log_url = reverse("record:project", kwargs={"path": found.full_path})
    keys = {
        "next_url": ("after", page.next_after),
        "previous_url": ("before", page.previous_before),
    }
    context = {
        **project_frame(found, request.user, "audit", ("Audit log", log_url), ("Pulls", "")),
        "lines": [{"path": row.path, "pulls": counted.get(row.path)} for row in page.rows],
        "trouble": trouble,
        "is_counted": trouble or not page.rows or any(counted.values()),
        **{name: f"?{urlencode({word: key})}" if key else "" for name, (word, key) in keys.items()},
    }
    return render(request, "record/pulls.html", context)
