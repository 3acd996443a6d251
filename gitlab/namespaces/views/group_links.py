"""Inviting a group to a group or project, and taking that back. One set of views for both."""

from __future__ import annotations

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from gitlab.namespaces import group_links
from gitlab.namespaces.forms import GroupLinkForm
from gitlab.namespaces.models import AccessLevel, GroupLink
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.views.members import address, frame, highest_role, load
from gitlab.refusals import NotFound
from gitlab.ui import form_errors
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_FORM = require_http_methods(["GET", "HEAD", "POST"])


@signed_in
@_FORM
def new(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """Which group, with which highest role, until when."""
    user = person(request)
    routable = load(request, kind, path, Ability.ADMIN_MEMBERS)
    form = GroupLinkForm(
        user,
        highest_role(user, routable),
        request.POST or None,
        initial={"access_level": AccessLevel.DEVELOPER},
    )
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data
        try:
            group_links.share(
                user, routable, given["group"], given["access_level"], given["expires_at"]
            )
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, f"{given['group'].full_path} is invited to {routable.full_path}.")
            return redirect(address(routable))
    context = frame(request, routable, ("Invite a group", "")) | {
        "form": form,
        "noun": kind,
        "full_path": routable.full_path,
        "back": address(routable),
    }
    return render(request, "namespaces/group_link_new.html", context)


@signed_in
@_FORM
def remove(request: HttpRequest, kind: str, path: str, pk: int) -> HttpResponse:
    """Asks, then takes an invitation back."""
    user = person(request)
    routable = load(request, kind, path, Ability.ADMIN_MEMBERS)
    link = _link(routable.group_links.filter(pk=min(pk, 2**63 - 1)).select_related("group").first())
    trouble = ""
    if request.method == "POST":
        try:
            group_links.unshare(user, routable, link.group_id)
        except ValidationError as error:
            trouble = " ".join(error.messages)
        else:
            name = link.group.full_path
            add_toast(request, f"{name} is no longer invited to {routable.full_path}.")
            return redirect(address(routable))
    name = link.group.full_path
    context = frame(request, routable, ("Take back", "")) | {
        "link": link,
        "trouble": trouble,
        "title": f"Take back the invitation of {name}?",
        "verb": "Take it back",
        "full_path": routable.full_path,
        "here": request.path,
        "back": address(routable),
    }
    return render(request, "namespaces/group_link_remove.html", context)


def _link(found: GroupLink | None) -> GroupLink:
    if found is None:
        raise NotFound("not invited")
    return found
