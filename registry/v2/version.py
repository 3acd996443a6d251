"""end-1: what a client asks first, to learn whether and how it has to log in."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry import VERSION
from registry.auth import Caller
from registry.v2.base import RegistryView
from tokens.access import Access

FEATURES = "tag_delete"


class VersionView(RegistryView):
    """``GET /v2/``: 200 for any valid token, else the challenge without a scope."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access | None:
        """A valid token, whatever it grants."""
        return None

    def get(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """An empty object, and what GitLab wants to know of the registry."""
        headers = {
            "gitlab-container-registry-version": VERSION,
            "gitlab-container-registry-features": FEATURES,
            "gitlab-container-registry-database-enabled": "true",
        }
        return JsonResponse({}, headers=headers)
