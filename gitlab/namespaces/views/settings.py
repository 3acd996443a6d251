"""Settings of a project or group, and their deletion."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from gitlab.namespaces import loaders, members, queries, services
from gitlab.namespaces.forms import GroupSettingsForm, ProjectSettingsForm, TypedPathForm
from gitlab.namespaces.models import Namespace, Project, Routable, Visibility
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import group_frame, project_frame, url_of
from gitlab.ui import client_commands, form_errors
from gitlab.ui.decorators import person, require_confirmation, signed_in
from gitlab.ui.toasts import add_toast

_FORM = require_http_methods(["GET", "HEAD", "POST"])


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def _confirm_publishing(request: HttpRequest, form: Form, routable: Routable) -> None:
    """What becomes open to the world is dangerous."""
    if form.cleaned_data.get("visibility") == Visibility.PUBLIC != routable.visibility:
        require_confirmation(request)


@signed_in
@_FORM
def project_edit(request: HttpRequest, path: str) -> HttpResponse:
    """Name, description, who sees it, who uses its registry."""
    user = person(request)
    project = loaders.get_project_for(user, path, Ability.ADMIN_PROJECT)
    fields = ("name", "description", "visibility", "registry_access", "keep_untagged")
    form = ProjectSettingsForm(
        project.namespace,
        request.POST or None,
        initial={field: getattr(project, field) for field in fields},
    )
    if request.method == "POST" and form.is_valid():
        _confirm_publishing(request, form, project)
        try:
            services.update_project(user, project, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, "The settings are saved.")
            return redirect("namespaces:project_edit", project.full_path)
    context = project_frame(project, user, "settings", ("Settings", "")) | {
        "form": form,
        "address": client_commands.image_name(project.full_path),
        "may_remove": Ability.REMOVE_PROJECT in project.abilities,
        "image_count": project.container_repositories.count(),
        "change": queries.path_change_of(project),
        "path_url": reverse("path_changes:project", kwargs={"path": project.full_path}),
        "transfer_url": reverse("path_changes:transfer", kwargs={"path": project.full_path}),
        "archive_url": reverse("namespaces:project_archive", kwargs={"path": project.full_path}),
        "delete_url": reverse("namespaces:project_delete", kwargs={"path": project.full_path}),
    }
    return render(request, "namespaces/project_edit.html", context)


@signed_in
@require_POST
def project_archive(request: HttpRequest, path: str) -> HttpResponse:
    """Archives the project, or with an empty `archived` takes it out of the archive."""
    user = person(request)
    project = loaders.get_project_for(user, path, Ability.REMOVE_PROJECT)
    archived = bool(request.POST.get("archived"))
    services.set_archived(user, project, archived=archived)
    now = "archived: its images are only pulled" if archived else "no longer archived"
    add_toast(request, f"{project.full_path} is {now}.")
    return redirect("namespaces:project_edit", project.full_path)


@signed_in
@_FORM
def project_delete(request: HttpRequest, path: str) -> HttpResponse:
    """Asks with the numbers and for the path, then the project goes with its images."""
    user = person(request)
    project = loaders.get_project_for(user, path, Ability.REMOVE_PROJECT)
    images = project.container_repositories.count()
    form = TypedPathForm(project.full_path, request.POST or None)
    if request.method == "POST" and form.is_valid():
        require_confirmation(request)
        try:
            services.delete_project(user, project)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            with_images = f" with {_counted(images, 'image')}" if images else ""
            add_toast(request, f"{project.full_path} is being deleted{with_images}.")
            return redirect(url_of(project.namespace))
    edit = reverse("namespaces:project_edit", kwargs={"path": project.full_path})
    context = project_frame(project, user, "settings", ("Settings", edit), ("Delete", ""))
    context |= _decision(request, project, form, edit) | {
        "image_count": images,
        "numbers": [
            ("Images", f"{images:,}"),
            ("Members who lose it", f"{members.people_of(project).count():,}"),
        ],
    }
    return render(request, "namespaces/project_delete.html", context)


def _decision(
    request: HttpRequest, routable: Routable, form: TypedPathForm, cancel: str
) -> dict[str, Any]:
    return {
        "form": form,
        "title": f"Delete {routable.full_path}?",
        "verb": f"Delete {routable.path}",
        "ask": f"Type {routable.full_path} to confirm",
        "here": request.path,
        "cancel": cancel,
    }


_OF_GROUP = (
    "name",
    "description",
    "visibility",
    "require_two_factor_authentication",
    "two_factor_grace_period",
)
"""What the form changes of a group."""


@signed_in
@_FORM
def group_edit(request: HttpRequest, path: str) -> HttpResponse:
    """Name, description, who sees it."""
    user = person(request)
    group = loaders.get_group_for(user, path, Ability.ADMIN_GROUP)
    form = GroupSettingsForm(
        group.parent,
        request.POST or None,
        initial={field: getattr(group, field) for field in _OF_GROUP},
    )
    if request.method == "POST" and form.is_valid():
        _confirm_publishing(request, form, group)
        try:
            services.update_group(user, group, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, "The settings are saved.")
            return redirect("namespaces:group_edit", group.full_path)
    context = group_frame(group, user, "settings", ("Settings", "")) | {
        "form": form,
        "address": client_commands.image_name(group.full_path),
        "may_remove": Ability.REMOVE_GROUP in group.abilities,
        "change": queries.path_change_of(group),
        "path_url": reverse("path_changes:group", kwargs={"path": group.full_path}),
        "transfer_url": reverse("path_changes:group_transfer", kwargs={"path": group.full_path}),
        "delete_url": reverse("namespaces:group_delete", kwargs={"path": group.full_path}),
    }
    return render(request, "namespaces/group_edit.html", context)


@signed_in
@_FORM
def group_delete(request: HttpRequest, path: str) -> HttpResponse:
    """Asks with the numbers and for the path. While there are projects in it, says so instead."""
    user = person(request)
    group = loaders.get_group_for(user, path, Ability.REMOVE_GROUP)
    form = TypedPathForm(group.full_path, request.POST or None)
    if request.method == "POST" and form.is_valid():
        require_confirmation(request)
        try:
            services.delete_group(user, group)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, f"{group.full_path} is deleted.")
            return redirect(url_of(group.parent) if group.parent else "namespaces:groups")
    below = f"{group.full_path}/"
    projects = Project.objects.filter(full_path__startswith=below, pending_delete_at=None)
    subgroups = Namespace.objects.filter(full_path__startswith=below, pending_delete_at=None)
    edit = reverse("namespaces:group_edit", kwargs={"path": group.full_path})
    context = group_frame(group, user, "settings", ("Settings", edit), ("Delete", ""))
    context |= _decision(request, group, form, edit) | {
        "projects": projects[:10],
        "project_count": projects.count(),
        "numbers": [
            ("Subgroups", f"{subgroups.count():,}"),
            ("Members", f"{members.people_of(group).count():,}"),
        ],
    }
    return render(request, "namespaces/group_delete.html", context)
