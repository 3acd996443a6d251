"""What the calls of the API for GitLab share: times, parameters, bodies, and one access."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest

from registry.errors import Code, RegistryError
from registry.v2.base import RegistryView
from registry.v2.body import Body
from tokens.access import Access

GARBAGE = Access("registry", "garbage", ("*",))
_MAX_JSON = 256 * 1024


def flag(request: HttpRequest, parameter: str) -> bool:
    """A query parameter that is ``true``, ``false`` or not there. Raises UNSUPPORTED with 400."""
    value = request.GET.get(parameter, "false")
    if value not in ("true", "false"):
        raise RegistryError(Code.UNSUPPORTED, f"{parameter} is true or false", status=400)
    return value == "true"


def json_object(request: HttpRequest, most: int = _MAX_JSON) -> dict[str, Any]:
    """The body where it is a JSON object of at most so many bytes. Raises UNSUPPORTED with 400."""
    try:
        body = json.loads(Body(request.META).read_whole(most))
    except (ValueError, RecursionError) as error:
        raise RegistryError(Code.UNSUPPORTED, "the body is not JSON", status=400) from error
    if not isinstance(body, dict):
        raise RegistryError(Code.UNSUPPORTED, "the body is not a JSON object", status=400)
    return body


def cursor(request: HttpRequest, parameter: str = "after") -> int:
    """The id after which a list begins, 0 without one. Raises PAGINATION_NUMBER_INVALID."""
    text = request.GET.get(parameter, "0")
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        details: dict[str, Any] = {parameter: text[:40]}
        raise RegistryError(Code.PAGINATION_NUMBER_INVALID, **details)
    return int(text)


def is_id(value: object) -> bool:
    """Whether a row could have this id. ``True`` is an int to Python, and none to a database."""
    return type(value) is int and 0 < value < 2**63


class GarbageView(RegistryView):
    """A call about the collector, which GitLab's jobs drive."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """``registry:garbage:*``."""
        return GARBAGE
