"""A project's runners, and whose jobs may pull from it."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from gitlab.access_tokens import job_allowances, job_tokens
from gitlab.access_tokens.forms import AllowanceForm, RunnerForm
from gitlab.access_tokens.views import new_text, owners
from gitlab.namespaces import loaders
from gitlab.namespaces.models import Project
from gitlab.namespaces.policies import Ability
from gitlab.refusals import NotFound
from gitlab.ui import form_errors
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_FORM = require_http_methods(["GET", "HEAD", "POST"])


def _load(request: HttpRequest, path: str) -> Project:
    return loaders.get_project_for(request.user, path, Ability.MANAGE_RUNNERS)


def _url(project: Project, page: str = "", **kwargs: Any) -> str:
    name = f"access_tokens:project_runner{page or 's'}"
    return reverse(name, kwargs={"path": project.full_path, **kwargs})


def _frame(request: HttpRequest, project: Project, *crumbs: str) -> dict[str, Any]:
    links = [("Runners", _url(project) if crumbs else ""), *((crumb, "") for crumb in crumbs)]
    return owners.frame(request, project, "runners", *links) | {
        "back": _url(project),
        "here": request.path,
    }


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest, path: str) -> HttpResponse:
    """The runners that work, a new one's token once, and the projects whose jobs may pull."""
    project = _load(request, path)
    response = _page(request, project, AllowanceForm())
    return new_text.take_away(request, response)


def _page(request: HttpRequest, project: Project, form: AllowanceForm) -> HttpResponse:
    user = person(request)
    runners = job_tokens.runners_of(user, project, active=True).select_related("created_by")
    context = _frame(request, project) | {
        "rows": [
            {"runner": runner, "revoke_url": _url(project, "_revoke", pk=runner.pk)}
            for runner in runners[: owners.SHOWN]
        ],
        "new": _new(project, new_text.of(request)),
        "new_url": _url(project, "_new"),
        "form": form,
        "allow_url": _url(project, "_allow"),
        "allowed": [
            {"source": row.source, "remove_url": _url(project, "_disallow", pk=row.source_id)}
            for row in job_allowances.of(user, project)
        ],
    }
    return render(request, "access_tokens/runners.html", context)


def _new(project: Project, text: str) -> dict[str, str] | None:
    """What to show of a runner that has just been registered here."""
    runner = job_tokens.find_runner(text) if text else None
    if runner is None or runner.project_id != project.pk:
        return None
    return {"name": runner.name, "text": text}


@signed_in
@_FORM
def new(request: HttpRequest, path: str) -> HttpResponse:
    """A new runner; afterwards its token is shown once."""
    project = _load(request, path)
    form = RunnerForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            _, text = job_tokens.create_runner(person(request), project, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            return new_text.send(text, _url(project))
    context = _frame(request, project, "New") | {"form": form}
    return render(request, "access_tokens/runner_new.html", context)


@signed_in
@_FORM
def revoke(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """Asks first, then refuses the runner from now on and ends its jobs."""
    project = _load(request, path)
    user = person(request)
    runner = job_tokens.get_runner_for(user, project, pk)
    if request.method == "POST":
        job_tokens.revoke_runner(user, runner)
        add_toast(request, f"{runner.name} is revoked.")
        return redirect(_url(project))
    context = _frame(request, project, "Revoke") | {
        "token": runner,
        "title": f"Revoke {runner.name}?",
    }
    return render(request, "access_tokens/revoke.html", context)


@signed_in
@require_POST
def allow(request: HttpRequest, path: str) -> HttpResponse:
    """Let the jobs of another project pull."""
    project = _load(request, path)
    user = person(request)
    form = AllowanceForm(request.POST)
    if form.is_valid():
        try:
            source = loaders.get_project_for(user, form.cleaned_data["source"])
            job_allowances.add(user, project, source)
        except ValidationError as error:
            form_errors.show(form, error)
        except NotFound:
            form.add_error("source", "There is no such project, or you can't see it.")
        else:
            add_toast(request, f"Jobs of {source.full_path} may pull now.")
            return redirect(_url(project))
    return _page(request, project, form)


@signed_in
@require_POST
def disallow(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """Let the jobs of another project pull no longer."""
    project = _load(request, path)
    job_allowances.remove(person(request), project, pk)
    add_toast(request, "Its jobs may pull no longer.")
    return redirect(_url(project))
