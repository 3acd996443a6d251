"""Lists: my projects, my groups, what is public."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from gitlab.namespaces import queries
from gitlab.namespaces.models import Project, Visibility
from gitlab.namespaces.sidebars import home_frame
from gitlab.namespaces.views.listing import around, group_rows, page_of, project_rows, search_of
from gitlab.ui import client_commands
from gitlab.ui.decorators import signed_in


@signed_in
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """The projects that one belongs to; while there are none, how the first one is made."""
    context = _projects(request, queries.projects_of(request.user, search=search_of(request)))
    context |= home_frame(request.user, "projects")
    own = f"{request.user.get_username()}/hello"
    context |= {
        "new_url": reverse("namespaces:project_new"),
        "explore_url": reverse("namespaces:explore"),
        "first": "A project holds images. "
        + (
            "Make one, or just push: it is created on the way."
            if settings.PUSH_CREATES_PROJECTS
            else "Make one called hello, then push to it."
        ),
        "login": client_commands.login(request.user),
        "build": client_commands.build(own),
        "push": client_commands.push(own),
    }
    return render(request, "namespaces/home.html", context)


@require_safe
def explore(request: HttpRequest) -> HttpResponse:
    """Public projects, and internal ones for those who may see them."""
    rows = queries.projects_visible_to(request.user, search=search_of(request)).filter(
        visibility__in=[Visibility.PUBLIC, Visibility.INTERNAL]
    )
    context = _projects(request, rows) | home_frame(request.user, "explore")
    return render(request, "namespaces/explore.html", context)


def _projects(request: HttpRequest, rows: QuerySet[Project]) -> dict[str, Any]:
    page = page_of(request, rows)
    return {
        "rows": project_rows(request.user, page.rows),
        **around(request, rows, page, "project"),
    }


@signed_in
@require_safe
def groups(request: HttpRequest) -> HttpResponse:
    """The groups that one belongs to."""
    found = queries.groups_of(request.user, search=search_of(request))
    page = page_of(request, found)
    context = {
        **home_frame(request.user, "groups"),
        "rows": group_rows(request.user, page.rows),
        "new_url": reverse("namespaces:group_new"),
        **around(request, found, page, "group"),
    }
    return render(request, "namespaces/groups.html", context)
