"""The text of a new token on its way to the page that shows it, once.

It travels in a cookie that only that page gets and that the page takes away: the server keeps a
digest and nothing else.
"""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect

COOKIE = "new_token"
_SECONDS = 120


def send(text: str, to: str) -> HttpResponse:
    """To the page at `to`, with the text."""
    response = redirect(to)
    response.set_cookie(
        COOKIE,
        text,
        max_age=_SECONDS,
        path=to,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Strict",
    )
    return response


def of(request: HttpRequest) -> str:
    """The text that came along, "" for none. Whose it is, the page has to look at itself."""
    return request.COOKIES.get(COOKIE, "")


def take_away(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    """The response of the page that has shown it."""
    if of(request):
        response.delete_cookie(COOKIE, path=request.path, samesite="Strict")
    return response
