"""How ``:id`` stands in an address: as a number, or as a path with its slashes encoded.

``/projects/acme%2Fapp/members`` is about the project ``acme/app``. WSGI decodes a path before
anybody sees it, and then nothing tells that slash from the others (PEP 3333). The server keeps the
address as it was sent; from there it is decoded segment by segment.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, unquote, urlsplit

from django.http import HttpRequest, HttpResponse
from django.urls import register_converter

PREFIX = "/api/v4/"
_RAW = ("RAW_URI", "REQUEST_URI")
"""What gunicorn, and what others, call the address as it was sent."""


class EncodedPathMiddleware:
    """Leaves the slashes inside of a segment encoded, below ``/api/v4/``.

    There ``request.path`` has ``%2F`` for such a slash and ``%25`` for a percent sign, and nothing
    else encoded; the converters below decode that.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info.startswith(PREFIX):
            request.path_info = request.path = _segments(request)
        return self.get_response(request)


def _segments(request: HttpRequest) -> str:
    for name in _RAW:
        if name in request.META:
            raw = urlsplit(request.META[name]).path
            if unquote(raw) == request.path_info:
                return "/".join(_once(unquote(segment)) for segment in raw.split("/"))
    # A server that keeps nothing: numbers and names work.
    return request.path_info.replace("%", "%25")


def _once(segment: str) -> str:
    return segment.replace("%", "%25").replace("/", "%2F")


def url_path(path: str) -> str:
    """A path as the middleware leaves it, as it stands in a URL."""
    return quote(path, safe="/%:@!$&'()*+,;=~")


class SegmentConverter:
    """``<api_text:name>``: any one segment, decoded."""

    regex = "[^/]+"

    def to_python(self, value: str) -> str:
        """The text. Raises `ValueError` for one with control characters."""
        text = unquote(value)
        if not text.isprintable():
            raise ValueError("no such name")
        return text

    def to_url(self, value: object) -> str:
        """With its slashes encoded."""
        return quote(str(value), safe="")


class NumberConverter:
    """``<api_number:id>``: an id, of at most 18 digits."""

    regex = "[0-9]{1,18}"

    def to_python(self, value: str) -> int:
        """The number."""
        return int(value)

    def to_url(self, value: object) -> str:
        """Its digits."""
        return str(value)


class IdOrPathConverter(SegmentConverter):
    """``<api_id:id>``: an id, or a path with its slashes encoded, or a user's name."""

    def to_python(self, value: str) -> int | str:  # type: ignore[override]
        """A number for an id, else the path in lower case. Raises `ValueError`."""
        text = super().to_python(value)
        if text.isascii() and text.isdecimal():
            if len(text) > 18:
                raise ValueError("no such id")
            return int(text)
        return text.lower()


register_converter(SegmentConverter, "api_text")
register_converter(NumberConverter, "api_number")
register_converter(IdOrPathConverter, "api_id")
