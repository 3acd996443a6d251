"""What every page knows without its view's doing: theme, the frame's links, toasts."""

from collections.abc import Iterator
from typing import Any

from django.contrib.messages import get_messages
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse

from .toasts import Toast, toast_of

THEMES = ("light", "dark", "auto")
THEME_COOKIE = "theme"

# What the frame links to, by URL name. A link whose name does not resolve is not shown.
NAMES = {
    "home": "home",
    "search": "search",
    "sign_in": "accounts:sign_in",
    "sign_out": "accounts:sign_out",
    "profile": "accounts:profile",
    "tokens": "access_tokens:index",
    "new_project": "namespaces:project_new",
    "new_group": "namespaces:group_new",
    "admin": "admin_area:home",
    "help": "help",
    "theme": "ui:theme",
}


def frame(request: HttpRequest) -> dict[str, Any]:
    """``theme``; ``frame``: addresses of the top bar, empty where there is none; ``toasts``."""
    return {
        "theme": theme_of(request),
        "frame": {key: _address(name) for key, name in NAMES.items()},
        "toasts": _Toasts(request),
    }


def theme_of(request: HttpRequest) -> str:
    """Light, dark, or auto when nobody chose."""
    chosen = request.COOKIES.get(THEME_COOKIE, "")
    return chosen if chosen in THEMES else "auto"


class _Toasts:
    """Reads the messages when a template asks, not when a context is made."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def __iter__(self) -> Iterator[Toast]:
        return (toast_of(message) for message in get_messages(self._request))


def _address(name: str) -> str:
    try:
        return reverse(name)
    except NoReverseMatch:
        return ""
