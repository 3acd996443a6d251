"""How often a repository, a manifest or a tag was pulled on which day."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry import digest as digests
from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.services import pull_details, repositories, tags
from registry.services.pull_details import Day
from registry.timestamps import timestamp
from registry.v2.base import RegistryView


class PullsView(RegistryView):
    """``GET /gitlab/v1/berth/pulls/<path>/?days=&digest=&tag=``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """The pulls of the last ``days`` (30), the latest first, by kind of credential.

        Of the manifest ``digest``, by whatever reference; of what was asked for by ``tag``; or of
        all of the repository.
        """
        digest, tag = request.GET.get("digest", ""), request.GET.get("tag", "")
        if digest and tag:
            raise RegistryError(Code.UNSUPPORTED, "digest or tag, not both", status=400)
        found = pull_details.by_day(
            repositories.get_id(name),
            digest=digests.check(digest) if digest else "",
            tag=tags.check(tag) if tag else "",
            days=days_in(request),
        )
        body: dict[str, Any] = {
            "counted_since": timestamp(pull_details.counted_since()),
            "days": days_as_json(found),
        }
        return JsonResponse(body)


def days_as_json(found: Sequence[Day]) -> list[dict[str, Any]]:
    """Pulls by day, as the API says them."""
    return [
        {"day": each.day.isoformat(), "credential": each.kind, "pulls": each.pulls}
        for each in found
    ]


def days_in(request: HttpRequest) -> int:
    """How many days are asked for. Raises UNSUPPORTED with 400."""
    text = request.GET.get("days", str(pull_details.RECENT_DAYS))
    days = int(text) if text.isascii() and text.isdecimal() and len(text) < 5 else 0
    if not 0 < days <= pull_details.MAX_DAYS:
        raise RegistryError(Code.UNSUPPORTED, f"days is 1 to {pull_details.MAX_DAYS}", status=400)
    return days
