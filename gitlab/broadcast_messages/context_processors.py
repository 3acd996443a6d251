"""The announcements above a page, for its template."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpRequest

from gitlab.broadcast_messages import services
from gitlab.broadcast_messages.models import BroadcastMessage

COOKIE = "hide_broadcast_message_{}"
"""GitLab's name of the cookie by which a browser knows what its reader has put away."""


def broadcasts(request: HttpRequest) -> dict[str, Any]:
    """``broadcasts``: those that stand now and were not put away."""
    return {"broadcasts": _Broadcasts(request)}


class _Broadcasts:
    """Looked up when a template asks, not when a context is made."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    def __iter__(self) -> Iterator[BroadcastMessage]:
        for row in services.current():
            if not (row.dismissable and COOKIE.format(row.pk) in self._request.COOKIES):
                yield row
