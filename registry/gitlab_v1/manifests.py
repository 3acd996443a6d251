"""Manifests by digest, many at once, and which other images have the blobs of one."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry import digest as digests
from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.gitlab_v1.base import json_object
from registry.services import manifest_details, repositories
from registry.timestamps import timestamp
from registry.v2.base import RegistryView
from tokens.access import Access


class _AskingView(RegistryView):
    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """It asks, and changes nothing: ``repository:<path>:pull``."""
        return Access.repository(arguments["name"], "pull")


class ManifestsView(_AskingView):
    """``POST /gitlab/v1/berth/manifests/<path>/``."""

    def post(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """What is known of the manifests ``digests``, 1 to 200; of those that are here."""
        found = manifest_details.of(repositories.get_id(name), _digests(request))
        body = [
            {
                "digest": each.digest,
                "media_type": each.media_type,
                "artifact_type": each.artifact_type,
                "config_digest": each.config_digest,
                "subject": each.subject,
                "size_bytes": each.size,
                "created_at": timestamp(each.created_at),
                "pushed_at": timestamp(each.pushed_at),
                "pushed_by": each.pushed_by,
                "platforms": each.platforms,
                "platforms_count": each.platforms_count,
            }
            for each in found
        ]
        return JsonResponse(body, safe=False)


class SharedBlobsView(_AskingView):
    """``POST /gitlab/v1/berth/shared-blobs/<path>/``."""

    def post(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Which of the blobs ``digests`` other images have too, of those that the token may pull.

        ``known`` is false where these are too many to be looked through.
        """
        asked = _digests(request)
        found = manifest_details.shared(repositories.get_id(name), asked, caller.visible)
        body = [
            {"digest": each.digest, "count": each.count, "names": each.names}
            for each in found or ()
        ]
        return JsonResponse({"known": found is not None, "blobs": body})


def _digests(request: HttpRequest) -> list[str]:
    """The digests of a body, each once. Raises UNSUPPORTED (400), DIGEST_INVALID."""
    most = manifest_details.MAX_AT_ONCE
    match json_object(request):
        case {"digests": [*wanted]} if 0 < len(wanted) <= most:
            return list(dict.fromkeys(digests.check(str(digest)) for digest in wanted))
    raise RegistryError(Code.UNSUPPORTED, f"the body has 1 to {most} digests", status=400)
