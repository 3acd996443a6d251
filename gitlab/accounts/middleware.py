"""What holds for every request of somebody who has signed in."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib.auth import SESSION_KEY
from django.http import HttpRequest, HttpResponse

from gitlab.audit import origin


class SignedInMiddleware:
    """No cache keeps a page of somebody, and a session whose user is blocked can't come back.

    The backend already answers nobody for a blocked user; without this their session would live
    again on the day that they are unblocked. What a view says of caching itself stands.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        # Who sends no cookie has no session; asking would cost the token endpoint a query.
        if settings.SESSION_COOKIE_NAME not in request.COOKIES:
            return self.get_response(request)
        if SESSION_KEY in request.session and request.user.is_anonymous:
            request.session.flush()
        if SESSION_KEY in request.session:
            origin.acted_with(origin.of_session(request.session.session_key))
        response = self.get_response(request)
        if SESSION_KEY in request.session:
            response.setdefault("Cache-Control", "no-store")
        return response
