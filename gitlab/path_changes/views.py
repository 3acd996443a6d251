"""Another path or another place for a project or group; the images come along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import loaders, queries
from gitlab.namespaces.forms import GroupTransferForm, NewPathForm, TransferForm
from gitlab.namespaces.models import Namespace, Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import group_frame, project_frame
from gitlab.path_changes import services as path_changes
from gitlab.ui import client_commands, form_errors
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_FORM = require_http_methods(["GET", "HEAD", "POST"])


@signed_in
@_FORM
def project_path(request: HttpRequest, path: str) -> HttpResponse:
    """Asks for the new path, with what hangs on the old one."""
    user = person(request)
    project = loaders.get_project_for(user, path, Ability.ADMIN_PROJECT)
    return _ask(
        request,
        project,
        NewPathForm(request.POST or None, initial={"path": _begun(project) or project.path}),
        lambda given: path_changes.change_project_path(user, project, path=given["path"]),
        title=f"Change the path of {project.full_path}?",
        verb="Change path",
        what="The project and its images get another address.",
        path_help=f"Below {project.namespace.full_path}/",
    )


@signed_in
@_FORM
def project_transfer(request: HttpRequest, path: str) -> HttpResponse:
    """Asks for the new namespace, of those where the person may make projects."""
    user = person(request)
    project = loaders.get_project_for(user, path, Ability.REMOVE_PROJECT)
    here = project.namespace_id
    asked = request.GET.get("namespace", "").lower()
    offered = queries.namespaces_to_create_in(user, request.POST.get("namespace", asked))
    namespaces = [each for each in offered if each.pk != here]
    return _ask(
        request,
        project,
        TransferForm(namespaces, request.POST or None, initial={"namespace": asked}),
        lambda given: path_changes.transfer_project(user, project, namespace=given["namespace"]),
        title=f"Transfer {project.full_path}?",
        verb="Transfer project",
        what=f"Members of {project.namespace.full_path} lose the project and its images, those of"
        " the namespace it comes to get them.",
        crumb="Transfer",
        # Its settings may be nothing for whoever gave it away.
        then="namespaces:overview",
    )


@signed_in
@_FORM
def group_path(request: HttpRequest, path: str) -> HttpResponse:
    """Asks for the new path of a group, with what hangs on the old one."""
    user = person(request)
    group = loaders.get_group_for(user, path, Ability.ADMIN_GROUP)
    return _ask(
        request,
        group,
        NewPathForm(request.POST or None, initial={"path": _begun(group) or group.path}),
        lambda given: path_changes.change_group_path(user, group, path=given["path"]),
        title=f"Change the path of {group.full_path}?",
        verb="Change path",
        what="The group, its subgroups, its projects and their images get another address.",
        path_help=f"Below {group.parent.full_path}/" if group.parent else "",
    )


@signed_in
@_FORM
def group_transfer(request: HttpRequest, path: str) -> HttpResponse:
    """Asks for the group that it shall come into, of those where the person may make groups."""
    user = person(request)
    group = loaders.get_group_for(user, path, Ability.REMOVE_GROUP)
    offered = queries.groups_to_transfer_to(user, group)[: queries.MAX_CHOICES]
    may_be_at_top = group.parent is not None and not (user.external and not user.is_superuser)
    return _ask(
        request,
        group,
        GroupTransferForm(list(offered), request.POST or None, top=may_be_at_top),
        lambda given: path_changes.transfer_group(user, group, parent=given["parent"]),
        title=f"Transfer {group.full_path}?",
        verb="Transfer group",
        what="The group, its subgroups, its projects and their images get another address. Whoever"
        " belonged to them by a group above loses them, members of the group it comes into get them.",
        crumb="Transfer",
        then="namespaces:overview",
    )


def _ask(
    request: HttpRequest,
    routable: Routable,
    form: forms.Form,
    change: Callable[[dict[str, Any]], Project | Namespace],
    *,
    crumb: str = "Change path",
    then: str = "",
    **words: str,
) -> HttpResponse:
    """The page that asks, or after a valid answer the way to it at its new path.

    `change` takes what was filled in; `then` is the page to go on with (default: the settings);
    `words` are what this page says.
    """
    frame, settings = _frame_of(routable)
    if request.method == "POST" and form.is_valid():
        changed = _try(request, form, lambda: change(form.cleaned_data))
        if changed is not None:
            return redirect(then or settings, changed.full_path)
    edit = reverse(settings, kwargs={"path": routable.full_path})
    context = frame(routable, person(request), "settings", ("Settings", edit), (crumb, ""))
    context |= _decision(request, routable, form, edit) | words
    return render(request, "path_changes/path_change.html", context)


def _frame_of(routable: Routable) -> tuple[Callable[..., dict[str, Any]], str]:
    """What frames the pages of a project or group, and the name of its settings."""
    if isinstance(routable, Project):
        return project_frame, "namespaces:project_edit"
    return group_frame, "namespaces:group_edit"


def _begun(routable: Routable) -> str:
    """The last segment of what somebody has begun to change the path to."""
    change = queries.path_change_of(routable)
    return change.new_path.rpartition("/")[2] if change else ""


def _try(
    request: HttpRequest, form: forms.Form, change: Callable[[], Project | Namespace]
) -> Project | Namespace | None:
    """The routable at its new path, or None with the refusal in the form."""
    try:
        routable = change()
    except ValidationError as error:
        form_errors.show(form, error)
        return None
    except RegistryUnavailable:
        text = (
            "The registry does not answer. If the change had begun already, it is finished as soon"
            " as the registry is back; otherwise nothing has happened: try again."
        )
        form.add_error(None, text)
        return None
    add_toast(request, f"It is called {routable.full_path} now.")
    return routable


def _decision(
    request: HttpRequest, routable: Routable, form: forms.Form, cancel: str
) -> dict[str, Any]:
    if isinstance(routable, Project):
        images = routable.container_repositories.count()
    else:
        below = f"{routable.full_path}/"
        images = ContainerRepository.objects.filter(path__startswith=below).count()
    numbers = [("Images that come along", f"{images:,}")]
    if isinstance(routable, Namespace):
        projects = Project.objects.filter(full_path__startswith=f"{routable.full_path}/")
        numbers.append(("Projects", f"{projects.count():,}"))
    numbers.append(("Address now", client_commands.image_name(routable.full_path)))
    return {"form": form, "here": request.path, "cancel": cancel, "numbers": numbers}
