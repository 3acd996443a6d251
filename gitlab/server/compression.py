"""Answers are compressed where no secret can leak by their length.

Who may put words into a page and measures how long the compressed answer is learns what else stands
in it (BREACH, https://www.breachattack.com/, 2013). That takes a reader whose browser another site
sends here, again and again: what another site has asked for goes out as it is. See decision 25.
"""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers
from django.utils.text import compress_string

SMALLEST = 1024
"""Bytes below which an answer is not worth it: it fits into a packet anyway."""

_KINDS = ("text/html", "application/json")
_OTHER_SITES = ("cross-site", "same-site")
_RANDOM_BYTES = 100
"""At most so many make a length differ from one answer to the next (Heal the Breach, 2022)."""


class CompressionMiddleware:
    """Compresses pages and the API's answers with gzip, for whoever takes it.

    Not what another site has made a browser ask for (``Sec-Fetch-Site``), nor an answer that sets a
    cookie other than that of forms: of those is the page that shows a new token.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        if not _may_be(response):
            return response
        patch_vary_headers(response, ("Accept-Encoding",))
        if _is_wanted(request):
            response.content = compress_string(response.content, max_random_bytes=_RANDOM_BYTES)
            response.headers["Content-Encoding"] = "gzip"
            response.headers["Content-Length"] = str(len(response.content))
        return response


def _may_be(response: HttpResponse) -> bool:
    return (
        not response.streaming
        and response.status_code == 200
        and response.cookies.keys() <= {settings.CSRF_COOKIE_NAME}
        and not response.has_header("Content-Encoding")
        and response.headers.get("Content-Type", "").partition(";")[0] in _KINDS
        and len(response.content) >= SMALLEST
    )


def _is_wanted(request: HttpRequest) -> bool:
    if request.method != "GET" or request.headers.get("Sec-Fetch-Site") in _OTHER_SITES:
        return False
    taken = [each.strip().lower() for each in request.headers.get("Accept-Encoding", "").split(",")]
    return any(each in ("gzip", "gzip;q=1", "gzip;q=1.0") for each in taken)
