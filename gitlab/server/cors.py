"""Pages of other origins that may read the registry: browsers of registries, by a list of origins.

Only where `berth.cors_origins` names any; a process without has none of this. A page gets no more
than its reader's token grants: cookies count for nothing at these addresses, and are not allowed to
come along. Source: the Fetch standard, "CORS protocol".
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

from gitlab.server.middleware import TOKEN_ENDPOINTS

_METHODS = "GET, HEAD, DELETE"
"""What a browser of registries does. Nobody pushes from a page."""

_REQUEST_FIELDS = "Accept, Authorization, If-None-Match, If-Range, Range"
_FIELDS = (
    "Content-Length, Content-Range, Docker-Content-Digest, Docker-Distribution-Api-Version, ETag,"
    " Link, OCI-Filters-Applied, Retry-After, WWW-Authenticate, X-Request-Id"
)
_REMEMBERED = 600
"""Seconds for which a browser need not ask again."""


class CorsMiddleware:
    """Answers the browser's question before a request, and lets pages read what is answered."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response
        self.origins = frozenset(settings.CORS_ORIGINS)

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not _is_for_clients(request.path_info):
            return self.get_response(request)
        origin = request.META.get("HTTP_ORIGIN", "")
        is_allowed = origin in self.origins
        asks = request.method == "OPTIONS" and "HTTP_ACCESS_CONTROL_REQUEST_METHOD" in request.META
        response = _permission() if asks and is_allowed else self.get_response(request)
        patch_vary_headers(response, ["Origin"])
        if is_allowed:
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Expose-Headers"] = _FIELDS
        return response


def _is_for_clients(path: str) -> bool:
    return path.startswith("/v2/") or path == "/v2" or path in TOKEN_ENDPOINTS


def _permission() -> HttpResponse:
    headers = {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": _REQUEST_FIELDS,
        "Access-Control-Max-Age": str(_REMEMBERED),
    }
    response = HttpResponse(status=204, headers=headers)
    del response.headers["Content-Type"]
    return response
