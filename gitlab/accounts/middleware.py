"""What holds for every request of somebody who has signed in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode

from gitlab.accounts import dormancy, sessions
from gitlab.accounts.factors import standing
from gitlab.accounts.models import User, today
from gitlab.audit import origin

_SEEN = "seen_at"
_LED = "led_to_factors"
SET_UP = "mfa_index"
"""The page on which second factors are set up."""

_OPEN = frozenset(
    [
        SET_UP,
        "mfa_activate_totp",
        "mfa_add_webauthn",
        "mfa_view_recovery_codes",
        "mfa_generate_recovery_codes",
        "mfa_reauthenticate",
        "mfa_reauthenticate_webauthn",
        "account_reauthenticate",
        "accounts:sign_out",
        "ui:theme",
    ]
)
"""What is there also for who has to set up a second factor before anything else."""


class SignedInMiddleware:
    """No cache keeps a page of somebody, and a session whose user is blocked can't come back.

    The backend already answers nobody for a blocked user; without this their session would live
    again on the day that they are unblocked. What a view says of caching itself stands.

    Who has to have a second factor and has none is led to the page that makes one, once while
    their grace lasts, and to nothing else after it.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Who sends no cookie has no session; asking would cost the token endpoint a query.
        if settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return self.get_response(request)
        if SESSION_KEY in request.session:
            if request.user.is_anonymous:
                request.session.flush()
            else:
                origin.acted_with(origin.of_session(request.session.session_key))
                _note_seen(request)
        response = self.get_response(request)
        if SESSION_KEY in request.session:
            response.setdefault("Cache-Control", "no-store")
        return response

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """None where the view may answer."""
        if settings.SESSION_COOKIE_NAME not in request.COOKIES or request.user.is_anonymous:
            return None
        assert isinstance(request.user, User)
        return _lead(request, request.user)


def note_sign_in(sender: Any, request: HttpRequest, user: User, **more: Any) -> None:
    """A receiver of Django's ``user_logged_in``: a session has begun."""
    # What a visitor's session had for a while: see `factors.views.PasskeySignIn`.
    request.session.set_expiry(None)
    if not request.session.session_key:
        request.session.save()
    sessions.note_begun(
        user,
        str(request.session.session_key),
        address=request.META.get("REMOTE_ADDR", ""),
        agent=request.META.get("HTTP_USER_AGENT", ""),
    )


def _note_seen(request: HttpRequest) -> None:
    now = timezone.now()
    seen = request.session.get(_SEEN)
    if sessions.is_due(seen, now):
        request.session[_SEEN] = int(now.timestamp())
        # At the first request the row is as old as the session.
        assert isinstance(request.user, User)
        if request.user.last_activity_on != today():
            dormancy.note(request.user.pk)
        if seen is not None:
            key = str(request.session.session_key)
            sessions.note_seen(key, request.META.get("REMOTE_ADDR", ""), now)


def _is_open(request: HttpRequest) -> bool:
    match = request.resolver_match
    return match is not None and match.view_name in _OPEN


def _lead(request: HttpRequest, user: User) -> HttpResponse | None:
    """To the page that makes a second factor, where it is time for that."""
    where = standing.of(user)
    if not where.is_lacking:
        if where.grace is None and user.two_factor_told_at is not None:
            standing.untell(user)
        return None
    if _is_open(request) or request.session.get(standing.PROVEN_ELSEWHERE) == user.pk:
        return None
    standing.tell(user)
    if standing.of(user).is_overdue:
        if request.path_info.startswith("/api/"):
            text = "403 Forbidden - Set up two-factor authentication first"
            return JsonResponse({"message": text}, status=403)
        return redirect(SET_UP)
    is_page = request.method == "GET" and "HX-Request" not in request.headers
    if not is_page or request.path_info.startswith("/api/") or request.session.get(_LED):
        return None
    request.session[_LED] = True
    return redirect(f"{reverse(SET_UP)}?{urlencode({'next': request.get_full_path()})}")
