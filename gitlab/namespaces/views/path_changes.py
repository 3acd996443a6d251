"""Another path for a project or group, another namespace for a project; its images come along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from gitlab.accounts.doors import person, signed_in
from gitlab.container_registry.client import RegistryUnavailable
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import commands, loaders, path_changes, queries
from gitlab.namespaces.forms import NewPathForm, TransferForm
from gitlab.namespaces.models import Namespace, Project
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import group_frame, project_frame
from gitlab.ui import refusals
from gitlab.ui.toasts import add_toast

Place = TypeVar("Place", Project, Namespace)
_FORM = require_http_methods(["GET", "HEAD", "POST"])


@signed_in
@_FORM
def project_path(request: HttpRequest, path: str) -> HttpResponse:
    """Asks for the new path, with what hangs on the old one."""
    user = person(request)
    project = loaders.get_project_for(user, path, Ability.ADMIN_PROJECT)
    form = NewPathForm(request.POST or None, initial={"path": _begun(project) or project.path})
    if request.method == "POST" and form.is_valid():
        changed = _try(
            request,
            form,
            lambda: path_changes.change_project_path(user, project, path=form.cleaned_data["path"]),
        )
        if changed is not None:
            return redirect("namespaces:project_edit", changed.full_path)
    edit = reverse("namespaces:project_edit", kwargs={"path": project.full_path})
    context = project_frame(project, user, "settings", ("Settings", edit), ("Change path", ""))
    context |= _decision(request, project, form, edit) | {
        "title": f"Change the path of {project.full_path}?",
        "verb": "Change path",
        "what": "The project and its images get another address.",
        "path_help": f"Below {project.namespace.full_path}/",
    }
    return render(request, "namespaces/path_change.html", context)


@signed_in
@_FORM
def project_transfer(request: HttpRequest, path: str) -> HttpResponse:
    """Asks for the new namespace, of those where the person may make projects."""
    user = person(request)
    project = loaders.get_project_for(user, path, Ability.REMOVE_PROJECT)
    here = project.namespace_id
    places = [place for place in queries.namespaces_to_create_in(user) if place.pk != here]
    form = TransferForm(places, request.POST or None)
    if request.method == "POST" and form.is_valid():
        moved = _try(
            request,
            form,
            lambda: path_changes.transfer_project(
                user, project, namespace=form.cleaned_data["namespace"]
            ),
        )
        if moved is not None:
            return redirect("namespaces:place", moved.full_path)
    edit = reverse("namespaces:project_edit", kwargs={"path": project.full_path})
    context = project_frame(project, user, "settings", ("Settings", edit), ("Transfer", ""))
    context |= _decision(request, project, form, edit) | {
        "title": f"Transfer {project.full_path}?",
        "verb": "Transfer project",
        "what": f"Members of {project.namespace.full_path} lose the project and its images, those of"
        " the namespace it comes to get them.",
    }
    return render(request, "namespaces/path_change.html", context)


@signed_in
@_FORM
def group_path(request: HttpRequest, path: str) -> HttpResponse:
    """Asks for the new path of a group, with what hangs on the old one."""
    user = person(request)
    group = loaders.get_group_for(user, path, Ability.ADMIN_GROUP)
    form = NewPathForm(request.POST or None, initial={"path": _begun(group) or group.path})
    if request.method == "POST" and form.is_valid():
        changed = _try(
            request,
            form,
            lambda: path_changes.change_group_path(user, group, path=form.cleaned_data["path"]),
        )
        if changed is not None:
            return redirect("namespaces:group_edit", changed.full_path)
    edit = reverse("namespaces:group_edit", kwargs={"path": group.full_path})
    context = group_frame(group, user, "settings", ("Settings", edit), ("Change path", ""))
    context |= _decision(request, group, form, edit) | {
        "title": f"Change the path of {group.full_path}?",
        "verb": "Change path",
        "what": "The group, its subgroups, its projects and their images get another address.",
        "path_help": f"Below {group.parent.full_path}/" if group.parent else "",
    }
    return render(request, "namespaces/path_change.html", context)


def _begun(place: Project | Namespace) -> str:
    """The last segment of what somebody has begun to change the path to."""
    change = path_changes.change_of(place)
    return change.new_path.rpartition("/")[2] if change else ""


def _try(request: HttpRequest, form: forms.Form, change: Callable[[], Place]) -> Place | None:
    """The place at its new path, or None with the refusal in the form."""
    try:
        place = change()
    except ValidationError as error:
        refusals.show(form, error)
        return None
    except RegistryUnavailable:
        text = (
            "The registry does not answer. If the change had begun already, it is finished as soon"
            " as the registry is back; otherwise nothing has happened: try again."
        )
        form.add_error(None, text)
        return None
    add_toast(request, f"It is called {place.full_path} now.")
    return place


def _decision(
    request: HttpRequest, place: Project | Namespace, form: forms.Form, cancel: str
) -> dict[str, Any]:
    if isinstance(place, Project):
        images = place.container_repositories.count()
    else:
        below = f"{place.full_path}/"
        images = ContainerRepository.objects.filter(path__startswith=below).count()
    numbers = [("Images that come along", f"{images:,}")]
    if isinstance(place, Namespace):
        projects = Project.objects.filter(full_path__startswith=f"{place.full_path}/")
        numbers.append(("Projects", f"{projects.count():,}"))
    numbers.append(("Address now", commands.address(place.full_path)))
    return {"form": form, "here": request.path, "cancel": cancel, "numbers": numbers}
