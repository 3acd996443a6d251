"""What a page about one tag or one manifest shows, in one answer: each question costs as much as
the work behind it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry import digest as digests
from registry import memory
from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.gitlab_v1 import manifests
from registry.gitlab_v1 import tags as tags_api
from registry.gitlab_v1.base import cursor, flag
from registry.gitlab_v1.pulls import days_as_json, days_in
from registry.services import (
    manifest_details,
    pull_details,
    referrers,
    repositories,
    tag_details,
    tags,
)
from registry.services.manifest_details import Parts
from registry.v2.base import RegistryView, page_size
from registry.v2.pages import fitting

MAX_INTERVALS = 100
MAX_PLATFORMS = 100
"""Of a tag, that are told here."""

_REFERRERS, _LOOKED_BELOW, _BELOW_EACH = 50, 10, 10
"""Referrers that are told, of how many of them what refers to them in turn, and how much of it."""

_MAX_BYTES = 512 * 1024
"""Bytes of JSON of each of the two long parts of an answer."""


class OverviewView(RegistryView):
    """``GET /gitlab/v1/berth/overview/<path>/?tag=``, or ``?digest=``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """A manifest, by a tag or by its ``digest``, with what belongs to it; in ``manifests`` what
        is known of it and of what it lists. ``has_config``: the image may serve its configuration.

        With ``n`` so many intervals of the tag's history, up to 100, narrowed by ``last`` and
        ``before`` as there, and what is known of what they name: of a tag that is gone that is all.
        With ``days`` its pulls by day. With ``shared=true`` which of its blobs other images have
        that the token may pull. ``whole`` is false where it names more than 127 blobs or manifests,
        or so much is known of these that not all is told.

        Referrers are up to 50 of the manifest, and behind them up to ten of each of the first ten:
        ``subject`` tells them apart. ``signatures`` are the tags by which cosign finds what belongs
        to it.
        """
        repository_id = repositories.get_id(name)
        wanted = request.GET.get("digest", "")
        body: dict[str, Any] = {"tag": None, "history": []}
        digest = digests.check(wanted) if wanted else _tag(request, repository_id, body)
        parts = manifest_details.parts_of(repository_id, digest) if digest else None
        if parts is None and wanted:
            raise RegistryError(Code.MANIFEST_UNKNOWN, digest=digest)
        past = [interval["digest"] for interval in body["history"]]
        asked = [digest, *past, *parts.children] if parts else past
        known = manifest_details.of(repository_id, list(dict.fromkeys(asked)))
        told, is_cut = fitting(map(manifests.details_as_json, known), max_bytes=_MAX_BYTES)
        body |= {"manifests": told, "whole": not is_cut and (parts is None or parts.is_whole)}
        body["digest"] = digest if parts else ""
        if parts is None:
            return JsonResponse(body)
        read = _belonging(repository_id, digest, body)
        body |= _parts(request, caller, repository_id, digest, parts)
        answer = JsonResponse(body)
        memory.let_go(read)
        return answer


def _tag(request: HttpRequest, repository_id: int, body: dict[str, Any]) -> str:
    """What the tag points at, "" where there is none now; it and its history go into `body`."""
    name = tags.check(request.GET.get("tag", ""))
    limit = min(page_size(request, default=0), MAX_INTERVALS)
    if limit:
        intervals = tags.history(
            repository_id,
            name,
            limit,
            last=cursor(request, "last"),
            before=tags_api.moment_in(request),
        )
        body["history"], _ = fitting(map(tags_api.interval_as_json, intervals), limit)
    found = tag_details.find_open(repository_id, name)
    if found is None:
        return ""
    told = replace(found, platforms=found.platforms[:MAX_PLATFORMS])
    body["tag"] = tags_api.details_as_json(told, pull_details.counted_since())
    return found.digest


def _belonging(repository_id: int, digest: str, body: dict[str, Any]) -> int:
    """What belongs to a manifest goes into `body`. Answers the bytes that were read for it."""
    page = referrers.tree(repository_id, digest, _REFERRERS, below=_LOOKED_BELOW, each=_BELOW_EACH)
    found, is_cut = fitting(page.descriptors, max_bytes=_MAX_BYTES)
    of_it = sum(each["subject"] == digest for each in found)
    body["referrers"] = found
    body["more_referrers"] = page.has_more or (is_cut and of_it == len(found))
    body["signatures"] = [
        {"name": tag.name, "digest": tag.digest, "size_bytes": tag.size}
        for tag in tags.signatures_of([(repository_id, digest)])
    ]
    return page.size


def _parts(
    request: HttpRequest, caller: Caller, repository_id: int, digest: str, parts: Parts
) -> dict[str, Any]:
    """What else was asked about a manifest that is here."""
    body: dict[str, Any] = {"has_config": parts.has_config}
    if "days" in request.GET:
        days = pull_details.by_day(repository_id, digest=digest, days=days_in(request))
        body["pulls"] = days_as_json(days)
    if flag(request, "shared"):
        shared = manifest_details.shared(repository_id, parts.blobs, caller.visible)
        body["shared_blobs"] = manifests.shared_as_json(shared)
    return body
