"""New projects and new groups."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from gitlab.namespaces import policies, queries, services, user_access
from gitlab.namespaces.forms import GroupForm, ProjectForm
from gitlab.namespaces.sidebars import breadcrumbs_for, home_frame, url_of
from gitlab.refusals import Forbidden
from gitlab.ui import client_commands, form_errors
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def project_new(request: HttpRequest) -> HttpResponse:
    """A new project in one of the namespaces where the person may create some."""
    user = person(request)
    asked = request.GET.get("namespace", "").lower()
    namespaces = queries.namespaces_to_create_in(user, request.POST.get("namespace", asked))
    if not namespaces:
        raise Forbidden("You may not create projects: ask somebody to add you to theirs.")
    form = ProjectForm(namespaces, request.POST or None, initial={"namespace": asked})
    if request.method == "POST" and form.is_valid():
        try:
            project = services.create_project(user, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, f"{project.full_path} is created.")
            return redirect(url_of(project))
    within = next((namespace for namespace in namespaces if namespace.full_path == asked), None)
    crumbs = breadcrumbs_for(within) if within else [("Projects", reverse("namespaces:projects"))]
    context = {
        **home_frame(user, "projects", *crumbs, ("New project", "")),
        "form": form,
        "host": client_commands.registry_host(),
        "back": crumbs[-1][1],
    }
    return render(request, "namespaces/project_new.html", context)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def group_new(request: HttpRequest) -> HttpResponse:
    """A new group, at the top or with ``?parent=`` below another."""
    user = person(request)
    top = policies.may_create_top_level_group(user_access.of_person(user))
    asked = request.GET.get("parent", "").lower()
    namespaces = queries.groups_to_create_in(user, request.POST.get("parent", asked))
    if not (top or namespaces):
        raise Forbidden("You may not create groups.")
    form = GroupForm(namespaces, request.POST or None, top=top, initial={"parent": asked})
    if request.method == "POST" and form.is_valid():
        try:
            group = services.create_group(user, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, f"{group.full_path} is created. You are its owner.")
            return redirect(url_of(group))
    within = next((namespace for namespace in namespaces if namespace.full_path == asked), None)
    crumbs = breadcrumbs_for(within) if within else [("Groups", reverse("namespaces:groups"))]
    title = "New subgroup" if within else "New group"
    context = {
        **home_frame(user, "groups", *crumbs, (title, "")),
        "form": form,
        "title": title,
        "host": client_commands.registry_host(),
        "back": crumbs[-1][1],
    }
    return render(request, "namespaces/group_new.html", context)
