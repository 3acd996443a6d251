"""The page at a full path: of a project, a group, or a person's own namespace."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe

from gitlab.namespaces import loaders, members, queries
from gitlab.namespaces.models import Namespace, Project, RegistryAccess, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.roles import Roles
from gitlab.namespaces.sidebars import group_frame, project_frame, registry_url
from gitlab.namespaces.views.listing import (
    around,
    group_rows,
    page_of,
    project_rows,
    search_of,
)
from gitlab.ui import client_commands
from gitlab.ui.decorators import or_sign_in
from tokens.names import RESERVED_AT_TOP

_SUBGROUPS = 50
_IMAGES = 5
_MEMBERS = 6


@require_safe
def overview(request: HttpRequest, path: str) -> HttpResponse:
    """Whatever is at `path`. Addresses that are Berth's own and do not exist are a plain 404."""
    if path.partition("/")[0] in RESERVED_AT_TOP:
        raise Http404
    return _overview(request, path)


@or_sign_in
def _overview(request: HttpRequest, path: str) -> HttpResponse:
    found = loaders.get_for(request.user, path)
    if isinstance(found, Project):
        return render(request, "namespaces/project.html", _project(request, found))
    return render(request, "namespaces/group.html", _group(request, found))


@require_safe
def without_slash(request: HttpRequest, path: str) -> HttpResponse:
    """The same address as it is written here."""
    return _moved(request, path)


def _moved(request: HttpRequest, path: str) -> HttpResponse:
    """To where the overview of `path` is, with the query that was asked with."""
    query = request.META.get("QUERY_STRING", "")
    return redirect(reverse("namespaces:overview", args=[path]) + (f"?{query}" if query else ""))


def _project(request: HttpRequest, project: Project) -> dict[str, Any]:
    user = request.user
    may = project.abilities
    context = project_frame(project, user, "overview")
    images = project.container_repositories.none()
    if Ability.READ_IMAGE in may:
        images = project.container_repositories.order_by("path")
    here = {"path": project.full_path}
    return context | {
        **(_members(project) if Ability.READ_MEMBERS in may else {}),
        "role": Roles(user).label(project),
        "images": list(images[:_IMAGES]),
        "image_count": images.count(),
        "registry_url": registry_url(project),
        "registry_off": project.registry_access == RegistryAccess.DISABLED,
        "plain_http": settings.CONTAINER_REGISTRY_PLAIN_HTTP,
        "may_pull": Ability.READ_IMAGE in may,
        "may_push": Ability.PUSH_IMAGE in may,
        "may_edit": Ability.ADMIN_PROJECT in may,
        "edit_url": reverse("namespaces:project_edit", kwargs=here),
        "members_url": reverse("namespaces:project_members", kwargs=here),
        "address": client_commands.image_name(project.full_path),
        "login": client_commands.login(user),
        "build": client_commands.build(project.full_path),
        "push": client_commands.push(project.full_path),
        "push_deeper": client_commands.push(f"{project.full_path}/worker"),
    }


def _members(routable: Routable) -> dict[str, Any]:
    """The highest few of those who belong here, and how many there are."""
    return {
        "members": members.highest_of(routable, _MEMBERS),
        "member_count": members.people_of(routable).count(),
    }


def _group(request: HttpRequest, group: Namespace) -> dict[str, Any]:
    user = request.user
    found = queries.projects_visible_to(user, search=search_of(request), namespace=group)
    page = page_of(request, found)
    subgroups = queries.groups_visible_to(user, parent=group)
    here = {"path": group.full_path}
    query = urlencode({"namespace": group.full_path})
    context = group_frame(group, user, "overview") | {
        "rows": project_rows(user, page.rows),
        "subgroups": group_rows(user, subgroups[:_SUBGROUPS]),
        "subgroup_count": subgroups.count(),
        "has_projects_below": not page.rows
        and queries.projects_at_or_below(queries.projects_visible_to(user), group).exists(),
        "role": Roles(user).label(group),
        "may_create_project": Ability.CREATE_PROJECT in group.abilities,
        "may_create_subgroup": group.is_group and Ability.CREATE_SUBGROUP in group.abilities,
        "new_project_url": f"{reverse('namespaces:project_new')}?{query}",
        "new_subgroup_url": f"{reverse('namespaces:group_new')}?"
        + urlencode({"parent": group.full_path}),
        "first": "Make one, or just push to a name below this one: it is created on the way."
        if settings.PUSH_CREATES_PROJECTS
        else "Make one called hello, then push to it.",
        "login": client_commands.login(user),
        "build": client_commands.build(f"{group.full_path}/hello"),
        "push": client_commands.push(f"{group.full_path}/hello"),
        **around(request, found, page, "project"),
    }
    if group.is_group and Ability.READ_MEMBERS in group.abilities:
        context |= {
            **_members(group),
            "members_url": reverse("namespaces:group_members", kwargs=here),
        }
    return context


@require_safe
def group_address(request: HttpRequest, path: str) -> HttpResponse:
    """GitLab's other address of a group."""
    return _moved(request, path)
