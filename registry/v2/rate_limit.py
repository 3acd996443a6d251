"""Rates of requests to ``/v2/`` and ``/gitlab/v1/``. In use only where a limit is set.

Requests of an upload that is under way are never refused: a client that waits for its turn would
lose what it has sent. GitLab's own jobs are not counted either.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponseBase

from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.v2.base import RegistryView, UnknownView, refuse
from registry.v2.uploads import UploadView
from tokens import rate_limits
from tokens.limiter import TooManyRequests

_VIEWS = (RegistryView, UnknownView)


class RateLimitMiddleware:
    """Answers 429 (TOOMANYREQUESTS) with ``Retry-After`` where a limit is reached."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Any, args: Any, kwargs: Any
    ) -> HttpResponseBase | None:
        """None where the view may answer."""
        if not isinstance(view, _VIEWS) or isinstance(view, UploadView):
            return None
        try:
            keys = _keys(request)
            rate_limits.take(*keys)
        except TooManyRequests as error:
            headers = {"Retry-After": str(error.retry_after)}
            return refuse(request, RegistryError(Code.TOOMANYREQUESTS, headers=headers))
        except RegistryError as error:
            return refuse(request, error)
        return None


def _keys(request: HttpRequest) -> tuple[rate_limits.Key, ...]:
    field = request.META.get("HTTP_AUTHORIZATION", "")
    claims = Caller(field).claims
    if claims is not None and claims.subject is None:
        return ()
    found = rate_limits.keys_of(
        user=(claims.subject or "") if claims else "",
        token=field.partition(" ")[2].strip(),
        address=request.META.get("REMOTE_ADDR", ""),
    )
    return tuple(found)
