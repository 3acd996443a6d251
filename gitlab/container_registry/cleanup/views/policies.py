"""The policy of a project or a group, to be changed."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from gitlab.container_registry.cleanup import services
from gitlab.container_registry.cleanup.forms import PolicyForm
from gitlab.container_registry.cleanup.models import CleanupPolicy
from gitlab.namespaces import loaders
from gitlab.namespaces.models import Namespace, Project
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import cleanup_url, group_frame, project_frame
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

TITLE = "Cleanup"
_FORM = require_http_methods(["GET", "HEAD", "POST"])


@signed_in
@_FORM
def project(request: HttpRequest, path: str) -> HttpResponse:
    """Its own policy, or the one that is inherited until it is saved here."""
    owner = loaders.get_project_for(request.user, path, Ability.ADMIN_PROJECT)
    frame = project_frame(
        owner, request.user, "cleanup", (TITLE, cleanup_url(owner)), ("Policy", "")
    )
    return _page(request, owner, frame, f"the images of {owner.full_path}")


@signed_in
@_FORM
def group(request: HttpRequest, path: str) -> HttpResponse:
    """The policy of all projects in a group that have none of their own."""
    owner = loaders.get_group_for(request.user, path, Ability.ADMIN_GROUP)
    frame = group_frame(owner, request.user, "cleanup", (TITLE, ""))
    whose = f"the projects in {owner.full_path} that have no policy of their own, nor one nearer"
    return _page(request, owner, frame, whose)


def _page(
    request: HttpRequest, owner: Project | Namespace, frame: dict[str, Any], whose: str
) -> HttpResponse:
    policy = services.effective_policy(owner)
    form = PolicyForm(policy, request.POST or None)
    if request.method == "POST" and form.save(person(request), owner):
        add_toast(request, form.said)
        return redirect(cleanup_url(owner))
    context = frame | {
        "form": form,
        "policy": policy,
        "is_own": services.is_own(policy, owner),
        "inherited_from": inherited_from(policy, owner),
        "whose": whose,
        "back": cleanup_url(owner) if isinstance(owner, Project) else "",
    }
    return render(request, "cleanup/policy.html", context)


def inherited_from(policy: CleanupPolicy, owner: Project | Namespace) -> str:
    """Whose policy it is in words, "" where it is one's own or there is none."""
    if not policy.pk or services.is_own(policy, owner):
        return ""
    return f"the group {policy.namespace.full_path}" if policy.namespace else "the installation"
