"""Rates of requests to pages. In use only where a limit is set.

The token endpoint counts for itself, since only it knows who sends what; so do the views of a
registry in the same process.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from gitlab.ui.views import too_many_requests
from tokens import rate_limits
from tokens.limiter import TooManyRequests

_NOTIFICATIONS = "container_registry:events"
"""What a registry sends of its own, with a secret: it would get lost, and is no person's."""

COUNTS_ITSELF = "counts_requests_itself"
"""What a view, or the class of one, has where it is none of ours to count."""


class RateLimitMiddleware:
    """Answers 429 with ``Retry-After`` where a limit is reached: a page, or JSON below
    ``/api/``.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """None where the view may answer."""
        if getattr(getattr(view, "view_class", view), COUNTS_ITSELF, False):
            return None
        if request.resolver_match and request.resolver_match.view_name == _NOTIFICATIONS:
            return None
        user = request.user.get_username() if request.user.is_authenticated else ""
        address = request.META.get("REMOTE_ADDR", "")
        try:
            rate_limits.take(*rate_limits.keys_of(user=user, token="", address=address))
        except TooManyRequests as error:
            response = _refusal(request, error)
            response.headers["Retry-After"] = str(error.retry_after)
            return response
        return None


def _refusal(request: HttpRequest, error: TooManyRequests) -> HttpResponse:
    if request.path_info.startswith("/api/"):
        return JsonResponse({"message": str(error)}, status=429)
    return too_many_requests(request, error.retry_after)
