"""What happens at this moment, for pages that look again by themselves."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.auth import Caller
from registry.gitlab_v1.base import flag
from registry.services import under_way
from registry.timestamps import timestamp
from registry.v2.base import RegistryView
from tokens.access import Access


class UnderWayView(RegistryView):
    """``GET /gitlab/v1/berth/under-way/<path>/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """What is being pushed at and below a path, what was pushed last, and pulls today.

        With ``self=true`` at the path alone. Needs pull on what is below it too, which only
        GitLab's own tokens grant: a person may see one image and not the next.
        """
        caller.require(Access.repository(f"{name}/*", "pull"))
        below = not flag(request, "self")
        arriving = [
            {
                "path": each.repository,
                "blobs_count": each.blobs,
                "size_bytes": each.bytes,
                "open_count": each.open,
                "open_bytes": each.open_bytes,
                "since": timestamp(each.since),
                "actors": sorted(each.actors)[: under_way.MOST],
            }
            for each in under_way.arriving(name, below=below)
        ]
        pushed = [
            {
                "path": each.repository,
                "tag": each.tag,
                "digest": each.digest,
                "size_bytes": each.size,
                "actor": each.actor,
                "at": timestamp(each.at),
            }
            for each in under_way.pushed(name, below=below)
        ]
        pulls = under_way.pulls_today(name, below=below)
        return JsonResponse({"arriving": arriving, "pushed": pushed, "pulls_today": pulls})
