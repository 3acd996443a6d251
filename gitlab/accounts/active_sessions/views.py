"""The page of one's own sessions."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe

from gitlab.accounts import sessions
from gitlab.accounts.models import User
from gitlab.accounts.views import go_on
from gitlab.namespaces.sidebars import home_frame
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Where one is signed in: the place, the device, since when."""
    user = person(request)
    context = {
        **home_frame(user, "sessions", ("Your account", ""), ("Sessions", "")),
        "sessions": sessions.of(user, request.session.session_key),
    }
    return render(request, "accounts/sessions.html", context)


@signed_in
@require_POST
def end(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one of them."""
    user = person(request)
    sessions.end(user, session_id, by=user)
    add_toast(request, "The session has ended.")
    return redirect("accounts:sessions")


@signed_in
@require_POST
def end_all(request: HttpRequest) -> HttpResponse:
    """End all but this one."""
    assert isinstance(request.user, User)
    sessions.end_all(request.user, by=request.user, keep=request.session.session_key)
    go_on(request, request.user)
    add_toast(request, "All other sessions have ended.")
    return redirect("accounts:sessions")
