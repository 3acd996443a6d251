"""The cleanups of a project: planned, looked at, run, cancelled, undone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_POST, require_safe

from gitlab import pagination
from gitlab.container_registry import repositories
from gitlab.container_registry.cleanup import plan as plans
from gitlab.container_registry.cleanup import requests as services
from gitlab.container_registry.cleanup.choosing import Selection
from gitlab.container_registry.cleanup.models import CleanupRun
from gitlab.container_registry.cleanup.policy import Rule, in_words
from gitlab.container_registry.cleanup.services import effective_policy
from gitlab.container_registry.cleanup.views.policies import TITLE, inherited_from
from gitlab.container_registry.views.image_pages import image_url, is_foreign
from gitlab.container_registry.views.tags import filters_of
from gitlab.namespaces import loaders
from gitlab.namespaces.models import Project
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import cleanup_url, project_frame
from gitlab.principals import Person
from gitlab.refusals import Invalid, NotFound
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_RUNS = 20
_TAGS = 50
_Status = CleanupRun.Status
_LABELS = {"going": "Goes", "kept": "Stays", "spared": "Spared"}
_TONES = {
    _Status.FINISHED: "good",
    _Status.UNDONE: "good",
    _Status.FAILED: "bad",
    _Status.PLANNED: "info",
    _Status.CANCELLED: "warn",
}


def _url(run: CleanupRun, page: str = "run") -> str:
    return reverse(f"cleanup:{page}", kwargs={"path": run.project.full_path, "pk": run.pk})


def _project(request: HttpRequest, path: str) -> Project:
    return loaders.get_project_for(request.user, path, Ability.ADMIN_IMAGE)


def _run(request: HttpRequest, path: str, pk: int) -> CleanupRun:
    return services.get_for(request.user, _project(request, path), pk)


@signed_in
@require_safe
def index(request: HttpRequest, path: str) -> HttpResponse:
    """The policy in words, and the cleanups that there were, the latest first."""
    project = _project(request, path)
    policy = effective_policy(project)
    page = _page(request, project)
    context = project_frame(project, request.user, "cleanup", (TITLE, "")) | {
        "policy": policy,
        "rules": [in_words(Rule.read(rule)) for rule in policy.rules],
        "inherited_from": inherited_from(policy, project),
        "policy_url": reverse("cleanup:policy", kwargs={"path": project.full_path}),
        "plan_url": reverse("cleanup:plan", kwargs={"path": project.full_path}),
        "lines": [_line(project, run) for run in page.rows],
        "next_url": f"?{urlencode({'after': page.next_after})}" if page.next_after else "",
        "previous_url": f"?{urlencode({'before': page.previous_before})}"
        if page.previous_before
        else "",
    }
    return render(request, "cleanup/index.html", context)


def _page(request: HttpRequest, project: Project) -> pagination.Page[CleanupRun]:
    after, before = (request.GET.get(key, "")[:40] for key in ("after", "before"))
    rows = services.runs_of(project)
    try:
        return pagination.page(rows, "-id", after=after, before=before, limit=_RUNS)
    except Invalid as error:
        raise NotFound("no such page") from error


def _line(project: Project, run: CleanupRun) -> dict[str, Any]:
    run.project = project
    return {"run": run, "url": _url(run), "tone": _tone(run)}


def _tone(run: CleanupRun) -> str:
    return _TONES.get(_Status(run.status), "")


@signed_in
@require_POST
def plan(request: HttpRequest, path: str) -> HttpResponse:
    """Have a plan made, and look at it."""
    project = _project(request, path)
    try:
        run = services.request(person(request), project)
    except ValidationError as error:
        add_toast(request, " ".join(error.messages), tone="bad")
        return redirect(cleanup_url(project))
    return redirect(_url(run))


@signed_in
@require_POST
def choose(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """Have the deletion planned of all that a filter of an image's tags matches, or of all
    ``untagged``, and look at it.
    """
    image = repositories.get_container_repository_for(
        request.user, pk, Ability.ADMIN_IMAGE, project=path
    )
    selection = Selection(
        image.pk,
        image.path,
        **filters_of(request.POST, own=not is_foreign()),
        untagged="untagged" in request.POST,
    )
    try:
        run = services.request_chosen(person(request), image, selection)
    except ValidationError as error:
        add_toast(request, " ".join(error.messages), tone="bad")
        return redirect(image_url(image))
    return redirect(_url(run))


@signed_in
@require_safe
def detail(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """What a cleanup does to each tag and why, what that frees, how far it is, what one may do."""
    run = _run(request, path, pk)
    part = request.GET.get("part", "")
    part = part if part in plans.PARTS else "going"
    try:
        found = plans.page_of(run, part, after=request.GET.get("after", "")[:20], limit=_TAGS)
    except Invalid as error:
        raise NotFound("no such page") from error
    above = (TITLE, cleanup_url(run.project))
    context = project_frame(run.project, request.user, "cleanup", above, (f"#{run.pk}", "")) | {
        **_state(run),
        "rules": _in_words(run),
        "tags": found.tags,
        "part": part,
        "parts": _parts(run, part),
        "next_url": f"?{urlencode({'part': part, 'after': found.next_after})}"
        if found.next_after
        else "",
        "first_url": f"?{urlencode({'part': part})}" if "after" in request.GET else "",
        "foreign": is_foreign(),
        "tone": _tone(run),
        "undo_until": services.undo_until(run),
    }
    return render(request, "cleanup/run.html", context)


def _in_words(run: CleanupRun) -> list[str]:
    if run.selection is not None:
        return [Selection.read(run.selection).in_words()]
    return [in_words(Rule.read(rule)) for rule in run.rules]


def _parts(run: CleanupRun, shown: str) -> list[dict[str, Any]]:
    counts = {
        "going": run.going_count,
        "kept": run.kept_count,
        "spared": run.spared_count,
    }
    return [
        {"label": label, "url": f"?part={part}", "active": part == shown, "count": counts[part]}
        for part, label in _LABELS.items()
        if part != "spared" or run.spared_count
    ]


def _state(run: CleanupRun) -> dict[str, Any]:
    """Where a run stands, for the part of the page that looks again by itself."""
    may_cancel = run.status in (
        _Status.PLANNING, _Status.PLANNED, _Status.APPROVED, _Status.RUNNING
    )  # fmt: skip
    return {
        "run": run,
        "run_url": _url(run),
        "progress_url": _url(run, "progress"),
        "approve_url": _url(run, "approve") if run.status == _Status.PLANNED else "",
        "cancel_url": _url(run, "cancel") if may_cancel and not run.cancel_asked else "",
        "undo_url": _url(run, "undo"),
    }


@signed_in
@require_safe
def progress(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """How far it is: the part of the page that is fetched every two seconds."""
    return render(request, "cleanup/_progress.html", _state(_run(request, path, pk)))


def _act(
    request: HttpRequest, path: str, pk: int, act: Callable[[Person, CleanupRun], Any], said: str
) -> HttpResponse:
    run = _run(request, path, pk)
    try:
        act(person(request), run)
    except ValidationError as error:
        add_toast(request, " ".join(error.messages), tone="bad")
    else:
        add_toast(request, said)
    return redirect(_url(run))


@signed_in
@require_POST
def approve(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """Run the plan."""
    return _act(request, path, pk, services.approve, "It runs, exactly as it is planned.")


@signed_in
@require_POST
def cancel(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """End it."""
    return _act(request, path, pk, services.cancel, "It is cancelled.")


@signed_in
@require_POST
def undo(request: HttpRequest, path: str, pk: int) -> HttpResponse:
    """Bring back what it has deleted."""
    return _act(request, path, pk, services.undo, "What it has deleted comes back.")
