"""Help on the spot: how each tool reaches this project, and by which credential."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from gitlab.container_registry import client_guides, repositories
from gitlab.container_registry.client_guides import Place
from gitlab.container_registry.views.image_pages import TITLE
from gitlab.namespaces import loaders
from gitlab.namespaces.models import Project
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import project_frame, registry_url
from gitlab.ui import client_commands
from gitlab.ui.decorators import or_sign_in

_IMAGES = 100
"""That the choice offers."""


@require_safe
@or_sign_in
def index(request: HttpRequest, path: str) -> HttpResponse:
    """The commands of every tool, filled in for the reader and one of the project's images."""
    project = loaders.get_project_for(request.user, path, Ability.READ_IMAGE)
    place = _place(request, project)
    images = repositories.repositories_of(project).values_list("path", flat=True)[:_IMAGES]
    secret = reverse("container_registry:pull_secret", kwargs={"path": project.full_path})
    context = {
        **project_frame(
            project, request.user, "registry", (TITLE, registry_url(project)), ("Use it", "")
        ),
        "guides": client_guides.guides(place),
        "place": place,
        "images": list(images),
        "secret_url": f"{secret}?{urlencode({'image': place.path})}",
        **_credentials(request, project),
    }
    return render(request, "container_registry/help.html", context)


@require_safe
@or_sign_in
def pull_secret(request: HttpRequest, path: str) -> HttpResponse:
    """The pull secret of Kubernetes as a file; no credential stands in it."""
    project = loaders.get_project_for(request.user, path, Ability.READ_IMAGE)
    place = _place(request, project)
    response = HttpResponse(
        client_guides.pull_secret(place), content_type="application/yaml; charset=utf-8"
    )
    name = f"{place.secret_name}.yaml"
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def _place(request: HttpRequest, project: Project) -> Place:
    """The image that the address names, where the project has it; else the project's own."""
    asked = request.GET.get("image", "").replace("\0", "").lower()[:255]
    known = repositories.repositories_of(project)
    found = known.filter(path=asked).first() if asked else known.first()
    user = request.user.get_username() if request.user.is_authenticated else "USER"
    return Place(
        client_commands.registry_host(),
        found.path if found else project.full_path,
        user,
        is_plain=settings.CONTAINER_REGISTRY_PLAIN_HTTP,
    )


def _credentials(request: HttpRequest, project: Project) -> dict[str, Any]:
    """The buttons that make a credential: those that the reader may press."""
    may, at = project.abilities, {"path": project.full_path}
    name = project.full_path[:80]
    pushes = Ability.PUSH_IMAGE in may
    found: dict[str, Any] = {"may_push": pushes}
    if request.user.is_authenticated:
        own = [("name", f"docker, {name}"), ("scopes", "read_registry")]
        own += [("scopes", "write_registry")] if pushes else []
        found["own_url"] = f"{reverse('access_tokens:new')}?{urlencode(own)}"
    if Ability.MANAGE_DEPLOY_TOKENS in may:
        url = reverse("access_tokens:project_deploy_token_new", kwargs=at)
        for key, scopes in (
            ("pull", ["read_registry"]),
            ("push", ["read_registry", "write_registry"]),
        ):
            query = [("name", f"{key} {name}"), *(("scopes", scope) for scope in scopes)]
            found[f"{key}_url"] = f"{url}?{urlencode(query)}"
    if Ability.MANAGE_TRUSTED_ISSUERS in may:
        found["issuers_url"] = reverse("trusted_issuers:project_trusted_issuers", kwargs=at)
    return found
