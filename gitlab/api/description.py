"""The description of the API: for programs as OpenAPI 3.1, for people as a page.

The page's scripts come from a package and not from another host, so that nothing of who looks, and
no token that they type, goes anywhere else.
"""

from __future__ import annotations

import functools
import json

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.csrf import ensure_csrf_cookie
from django.views.decorators.http import require_safe
from drf_spectacular.generators import SchemaGenerator


@functools.cache
def openapi() -> bytes:
    """The description as JSON. Made once in a process: it takes a second."""
    found = SchemaGenerator().get_schema(request=None, public=True)
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")).encode()


@require_safe
def for_programs(request: HttpRequest) -> HttpResponse:
    """``/api/v4/openapi.json``, for everybody."""
    return HttpResponse(
        openapi(), content_type="application/json", headers={"Cache-Control": "max-age=300"}
    )


@ensure_csrf_cookie
@require_safe
def for_people(request: HttpRequest) -> HttpResponse:
    """``/help/api``: all operations, to read and to try."""
    return render(request, "api/description.html")
