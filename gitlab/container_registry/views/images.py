"""A project's images."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_safe

from gitlab.container_registry import repositories
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.repositories import Listed, Listing
from gitlab.container_registry.views.image_pages import (
    counted,
    image_url,
    last_push,
    note_trouble,
    project_page,
    state_of,
    undo_until,
)
from gitlab.namespaces import loaders
from gitlab.namespaces.models import Project
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import registry_url
from gitlab.namespaces.views.listing import Orders, columns_of, sort_of
from gitlab.ui import client_commands
from gitlab.ui.decorators import or_sign_in

_ORDERS: Orders = {
    "path": ("path",),
    "pushed": ("pushed", "id"),
    "created_at": ("created_at", "id"),
}


def _line(listed: Listed) -> dict[str, Any]:
    row = listed.repository
    return {
        **state_of(row),
        "details": listed.details,
        "last_push": last_push(row, listed.details),
        "above": row.path[: -len(row.name)] if row.name else "",
        "last": row.name or row.path,
        "url": image_url(row),
        "delete_url": image_url(row, "delete"),
        "pull": _pull(listed),
    }


def _pull(listed: Listed) -> str:
    """A command that works, "" where nothing can be pulled or nobody knows what."""
    tag = listed.details.pull_tag if listed.details else ""
    return client_commands.pull(listed.repository.path, tag=tag) if tag else ""


@require_safe
@or_sign_in
def index(request: HttpRequest, path: str) -> HttpResponse:
    """Every image with its tags, its size, its last push, and how far its deletion is."""
    project = loaders.get_project_for(request.user, path, Ability.READ_IMAGE)
    search, after, before = (_asked(request, key) for key in ("q", "after", "before"))
    sort = sort_of(request, _ORDERS)
    listing = repositories.list_for(
        project, after=after, before=before, search=search, order=columns_of(sort, _ORDERS)
    )
    if listing.trouble:
        note_trouble(request, project, listing.trouble)
    context = {
        **project_page(project, request.user),
        **_numbers(project, listing, search),
        "sort": sort,
        "lines": [_line(listed) for listed in listing.images],
        "trouble": listing.trouble,
        "searching": bool(search),
        "may_push": Ability.PUSH_IMAGE in project.abilities,
        "may_admin": Ability.ADMIN_IMAGE in project.abilities,
        "address": client_commands.image_name(project.full_path),
        "plain_http": settings.CONTAINER_REGISTRY_PLAIN_HTTP,
        "tools": client_commands.tools(project.full_path, request.user),
        "commands_open": "commands" in request.GET,
        "deleted_url": _deleted(project),
        "help_url": reverse("container_registry:help", kwargs={"path": project.full_path}),
        "next_url": _page("after", listing.page.next_after, search, sort),
        "previous_url": _page("before", listing.page.previous_before, search, sort),
    }
    return render(request, "container_registry/index.html", context)


def _deleted(project: Project) -> str:
    """The page of what can be brought back, "" where nobody here may or can."""
    if Ability.PUSH_IMAGE not in project.abilities or not undo_until():
        return ""
    return reverse("container_registry:deleted", kwargs={"path": project.full_path})


def _page(direction: str, key: str, search: str, sort: str) -> str:
    kept = {"q": search, "sort": "" if sort == "path" else sort, direction: key}
    return "?" + urlencode({name: text for name, text in kept.items() if text}) if key else ""


def _asked(request: HttpRequest, key: str) -> str:
    """A parameter of the address. PostgreSQL has no word for a NUL."""
    return request.GET.get(key, "").replace("\0", "")[:255]


def _numbers(project: Project, listing: Listing, search: str) -> dict[str, Any]:
    """How many images and how many bytes: exact where the registry can tell, else a sum."""
    count = repositories.repositories_of(project).count()
    matching = repositories.matching(project, search).count() if search else count
    details = [listed.details for listed in listing.images]
    known = [each.size_bytes for each in details if each and each.size_bytes is not None]
    stored = None
    if count and not listing.trouble:
        stored = repositories.stored_by(project)
    is_sum = stored is None and len(known) == count
    return {
        "count": count,
        "count_text": counted(matching, "image"),
        "stored": sum(known) if is_sum and known else stored,
        "stored_is_sum": is_sum and count > 1,
    }


@require_safe
@or_sign_in
def progress(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """How far an image's deletion is: the part of the page that is fetched every two seconds."""
    project = loaders.get_project_for(request.user, path, Ability.READ_IMAGE)
    row = ContainerRepository.objects.filter(pk=pk, project=project).first()
    context: dict[str, Any] = {"may_admin": Ability.ADMIN_IMAGE in project.abilities}
    if row is not None:
        row.project = project
        context |= {"line": state_of(row)}
    else:
        context |= {"line": None, "pk": pk, "registry_url": registry_url(project)}
    return render(request, "container_registry/_progress.html", context)
