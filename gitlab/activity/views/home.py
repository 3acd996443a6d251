"""Home: what was pushed lately, what one likes, what needs one. And the star of a project."""

from __future__ import annotations

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from gitlab.activity import needs, reading, stars
from gitlab.activity.views.lines import lines_of
from gitlab.namespaces import loaders, queries
from gitlab.namespaces.sidebars import home_frame, url_of
from gitlab.ui import client_commands
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_FAVOURITES = 12
_PUSHES = 10


@signed_in
@require_safe
def home(request: HttpRequest) -> HttpResponse:
    """What somebody wants to know first; while there is no project, how the first one is made."""
    by = person(request)
    own = f"{by.username}/hello"
    first = "A project holds images. "
    first += (
        "Make one, or just push: it is created on the way."
        if settings.PUSH_CREATES_PROJECTS
        else "Make one called hello, then push to it."
    )
    favourites = stars.of(by, _FAVOURITES)
    pushes = lines_of(reading.recent_pushes(by, _PUSHES))
    context = home_frame(request.user, "home") | {
        "favourites": [(one, url_of(one)) for one in favourites],
        "needs": needs.of(by),
        "pushes": pushes,
        "is_new": not favourites and not pushes and not queries.projects_of(by).exists(),
        "projects_url": reverse("namespaces:projects"),
        "new_url": reverse("namespaces:project_new"),
        "explore_url": reverse("namespaces:explore"),
        "first": first,
        "login": client_commands.login(by),
        "build": client_commands.build(own),
        "push": client_commands.push(own),
    }
    return render(request, "activity/home.html", context)


@signed_in
@require_POST
def star(request: HttpRequest, path: str) -> HttpResponse:
    """Make a project a favourite; with ``take`` make it none any more."""
    by = person(request)
    project = loaders.get_project_for(by, path)
    if "take" in request.POST:
        stars.unstar(by, project)
        return redirect(url_of(project))
    try:
        stars.star(by, project)
    except ValidationError as error:
        add_toast(request, " ".join(error.messages), tone="warn")
    return redirect(url_of(project))
