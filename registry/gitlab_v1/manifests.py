"""Manifests and blobs by digest, many at once, and which other images have the blobs of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry import digest as digests
from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.gitlab_v1.base import json_object
from registry.services import blobs, manifest_details, repositories
from registry.services.manifest_details import ManifestDetails, SharedBlob
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
        return JsonResponse(list(map(details_as_json, found)), safe=False)


def details_as_json(found: ManifestDetails) -> dict[str, Any]:
    """What is known of a manifest, as the API says it."""
    return {
        "digest": found.digest,
        "media_type": found.media_type,
        "artifact_type": found.artifact_type,
        "config_digest": found.config_digest,
        "subject": found.subject,
        "size_bytes": found.size,
        "created_at": timestamp(found.created_at),
        "pushed_at": timestamp(found.pushed_at),
        "pushed_by": found.pushed_by,
        "platforms": found.platforms,
        "platforms_count": found.platforms_count,
    }


class SharedBlobsView(_AskingView):
    """``POST /gitlab/v1/berth/shared-blobs/<path>/``."""

    def post(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Which of the blobs ``digests`` other images have too, of those that the token may pull.

        ``known`` is false where these are too many to be looked through.
        """
        asked = _digests(request)
        found = manifest_details.shared(repositories.get_id(name), asked, caller.visible)
        return JsonResponse(shared_as_json(found))


def shared_as_json(found: Sequence[SharedBlob] | None) -> dict[str, Any]:
    """Which blobs others have too, as the API says it."""
    blobs = [
        {"digest": each.digest, "count": each.count, "names": each.names} for each in found or ()
    ]
    return {"known": found is not None, "blobs": blobs}


class BlobsView(_AskingView):
    """``POST /gitlab/v1/berth/blobs/<path>/``."""

    def post(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Which of the blobs ``digests``, 1 to 200, the image may serve now."""
        asked = _digests(request)
        here = blobs.links_here(repositories.get_id(name), asked)
        return JsonResponse({"digests": [digest for digest in asked if digest in here]})


def _digests(request: HttpRequest) -> list[str]:
    """The digests of a body, each once. Raises UNSUPPORTED (400), DIGEST_INVALID."""
    most = manifest_details.MAX_AT_ONCE
    match json_object(request):
        case {"digests": [*wanted]} if 0 < len(wanted) <= most:
            return list(dict.fromkeys(digests.check(str(digest)) for digest in wanted))
    raise RegistryError(Code.UNSUPPORTED, f"the body has 1 to {most} digests", status=400)
