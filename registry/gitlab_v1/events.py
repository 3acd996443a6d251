"""What happened, in order."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.auth import Caller
from registry.gitlab_v1.base import cursor
from registry.services import events, exporting
from registry.v2.base import RegistryView, page_size
from registry.v2.pages import fitting
from tokens.access import Access

EVENTS = Access("registry", "events", ("*",))


class EventsView(RegistryView):
    """``GET /gitlab/v1/events/``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """``registry:events:*``."""
        return EVENTS

    def get(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """What happened, in order, after the event ``after``.

        Whoever asks again after the last one, until there is none, has read them all.
        """
        found = events.after(cursor(request), page_size(request, default=100))
        body = (exporting.event(event) for event in found)
        return JsonResponse(fitting(body)[0], safe=False)
