"""A push as it happens: a part of the pages of projects and images that looks again by itself.

Plain requests every few seconds, which every proxy lets through. While nothing changes the answer
is a 304: its ETag says what is shown, and the minute, since times are told as people say them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import get_conditional_response, patch_cache_control, patch_vary_headers
from django.views.decorators.http import require_safe

from gitlab.container_registry import repositories
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.responses import UnderWay
from gitlab.container_registry.labels import labelled, labels
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.views.image_pages import image_page, image_url, project_page
from gitlab.namespaces import loaders
from gitlab.namespaces.models import Project
from gitlab.namespaces.policies import Ability
from gitlab.ui.decorators import or_sign_in

_SHOWN = 5
_SHOWN_OF_IMAGE = 1
"""Below it stands the list of its tags, the latest first."""
_ACTORS = 3


@dataclass(frozen=True)
class Live:
    """What is shown; None of a registry that can't tell, with the `trouble` where it should."""

    state: UnderWay | None
    trouble: str = ""


@require_safe
@or_sign_in
def project(request: HttpRequest, path: str) -> HttpResponse:
    """What is being pushed to a project, and was pushed last."""
    found = loaders.get_project_for(request.user, path, Ability.READ_IMAGE)
    url = reverse("activity:pushes", kwargs={"path": found.full_path})
    frame = project_page(found, request.user) if not _is_part(request) else {}
    return _answer(request, _look(found.full_path, below=True), found, url, frame)


@require_safe
@or_sign_in
def image(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """The same of one image."""
    found = repositories.get_container_repository_for(request.user, pk, project=path)
    url = reverse("activity:image_pushes", kwargs={"path": found.project.full_path, "pk": pk})
    frame = {}
    if not _is_part(request):
        frame = image_page(found, request.user, ("Pushes", ""))
    live = _look(found.path, below=False)
    return _answer(request, live, found.project, url, frame, is_image=True)


def _is_part(request: HttpRequest) -> bool:
    return request.headers.get("HX-Request") == "true"


def _look(path: str, *, below: bool) -> Live:
    own = clients.for_pages().own
    if own is None:
        return Live(None)
    try:
        state = own.under_way(path, below=below)
    except RegistryUnavailable:
        return Live(None, "The registry does not answer. This looks again by itself.")
    except RegistryRefused as error:
        return Live(None, f"What is being pushed can't be said: {error}.")
    shown = state.pushed[: _SHOWN if below else _SHOWN_OF_IMAGE]
    return Live(replace(state, pushed=tuple(labelled(shown, "actor"))))


def _answer(
    request: HttpRequest,
    live: Live,
    project: Project,
    url: str,
    frame: dict[str, Any],
    *,
    is_image: bool = False,
) -> HttpResponse:
    etag = _etag(live, request)
    response = get_conditional_response(request, etag=etag)
    if response is None:
        template = "activity/_pushes.html" if _is_part(request) else "activity/pushes.html"
        response = render(
            request, template, frame | {"url": url, "etag": etag} | _shown(live, project, is_image)
        )
    response.headers["ETag"] = etag
    patch_cache_control(response, private=True, no_cache=True)
    patch_vary_headers(response, ("HX-Request", "Cookie"))
    return response


def _etag(live: Live, request: HttpRequest) -> str:
    """A weak one: what compresses answers changes their bytes."""
    minute = timezone.now().replace(second=0, microsecond=0)
    said = f"{live!r} {minute} {_is_part(request)} {request.user.pk}"
    return f'W/"{hashlib.sha256(said.encode()).hexdigest()[:32]}"'


def _shown(live: Live, project: Project, is_image: bool) -> dict[str, Any]:
    """What the template takes: with links to the images that GitLab knows. Four queries at most."""
    if live.state is None:
        return {"trouble": live.trouble, "is_foreign": not live.trouble}
    state = live.state
    paths = {each.path for each in state.arriving} | {each.path for each in state.pushed}
    images = {row.path: row for row in project.container_repositories.filter(path__in=paths)}
    for row in images.values():
        row.project = project
    names = labels(actor for each in state.arriving for actor in each.actors)
    return {
        "arriving": [
            {
                "name": _name(each.path, project),
                "who": ", ".join(names.get(actor, actor) for actor in each.actors[:_ACTORS]),
                "push": each,
            }
            for each in state.arriving
        ],
        "pushed": [
            {
                "name": _name(each.path, project),
                "url": _tag_url(images.get(each.path), each.tag),
                "push": each,
            }
            for each in state.pushed
        ],
        "pulls_today": state.pulls_today,
        "is_image": is_image,
    }


def _name(path: str, project: Project) -> str:
    """An image within its project; the project's own has its name."""
    return path.removeprefix(f"{project.full_path}/") if path != project.full_path else project.path


def _tag_url(image: ContainerRepository | None, tag: str) -> str:
    return image_url(image, "tag", tag=tag) if image else ""
