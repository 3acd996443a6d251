"""Ends the session of somebody who was blocked meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse


class BlockedUserMiddleware:
    """A session that names a user who may not sign in is emptied, so that it can't come back.

    The backend already answers nobody for a blocked user; without this their session would live
    again on the day that they are unblocked.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Who sends no cookie has no session; asking would cost the token endpoint a query.
        carries_session = settings.SESSION_COOKIE_NAME in request.COOKIES
        if carries_session and SESSION_KEY in request.session and request.user.is_anonymous:
            request.session.flush()
        return self.get_response(request)
