"""How much is stored, for the pages of projects and groups and for the administrator."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.auth import STATISTICS, Caller
from registry.errors import Code, RegistryError
from registry.gitlab_v1.base import flag
from registry.services import repositories, shares, statistics, usage, waiting
from registry.services.statistics import Statistics
from registry.timestamps import timestamp
from registry.v2.base import RegistryView, page_size
from tokens.access import Access

_MAX_PATHS = 100


class StatisticsView(RegistryView):
    """``GET /gitlab/v1/statistics/?path=a&path=b``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access | None:
        """A valid token; which paths it may ask about is looked at with the paths."""
        return None

    def get(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """A list with an object for each path, in the order asked for.

        A caller who may not see all statistics may ask for one path that they may pull. Each counts
        what is at and below it, as shared with what else the token lets them pull. With
        ``waiting=true`` it says what waits for the collector too, which needs pull on what is below
        the path (``<path>/*``): only GitLab's own tokens grant that.
        """
        paths = list(dict.fromkeys(request.GET.getlist("path")))
        if not 0 < len(paths) <= _MAX_PATHS:
            raise RegistryError(Code.UNSUPPORTED, f"ask for 1 to {_MAX_PATHS} paths", status=400)
        for path in paths:
            repositories.check_name(path)
        if not caller.may(STATISTICS):
            one = len(paths) == 1
            caller.require(Access.repository(paths[0], "pull") if one else STATISTICS)
        with_waiting = flag(request, "waiting")
        if with_waiting and not caller.may(STATISTICS):
            caller.require(Access.repository(f"{paths[0]}/*", "pull"))
        found = [statistics.of(path, caller.visible) for path in paths]
        body = [_as_json(each) for each in found]
        if with_waiting:
            body = [
                {**entry, "waiting": _waiting(waiting.below(each))}
                for entry, each in zip(body, found, strict=True)
            ]
        return JsonResponse(body, safe=False)


def _waiting(found: waiting.Waiting) -> dict[str, Any]:
    return {
        "size_bytes": found.bytes,
        "tags_count": found.tags,
        "repositories_count": found.images,
        "first_until": timestamp(found.first),
        "last_until": timestamp(found.last),
    }


class SharesView(RegistryView):
    """``GET /gitlab/v1/berth/shares/<path>/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """The manifests with tags that hold most bytes which no other tagged one of the image does.

        Needs pull on what is below the image too, which only GitLab's own tokens grant: all tags
        are compared, and GitLab says when that is done.
        """
        caller.require(Access.repository(f"{name}/*", "pull"))
        limit = min(page_size(request, default=shares.MAX_SHARES) or 1, shares.MAX_SHARES)
        found = shares.of(repositories.get_id(name), limit)
        entries = [
            {
                "digest": each.digest,
                "tags": each.names,
                "tags_count": each.tags,
                "size_bytes": each.size,
                "alone_bytes": each.alone,
                "published_at": timestamp(each.published_at),
                "last_pulled_at": timestamp(each.pulled_at),
            }
            for each in found.shares
        ]
        return JsonResponse({"shares": entries, "exact": found.is_exact})


class UsageView(RegistryView):
    """``GET /gitlab/v1/usage/?path=a&path=b``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access | None:
        """``registry:statistics:*``."""
        return STATISTICS

    def get(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """A list with an object for each path: what a quota there is held against."""
        paths = list(dict.fromkeys(request.GET.getlist("path")))
        if not 0 < len(paths) <= _MAX_PATHS:
            raise RegistryError(Code.UNSUPPORTED, f"ask for 1 to {_MAX_PATHS} paths", status=400)
        for path in paths:
            repositories.check_name(path)
        found = [(usage.looked_up(path), repositories.count_at(path)) for path in paths]
        return JsonResponse(
            [
                {
                    "path": used.path,
                    "size_bytes": used.bytes,
                    "blobs_count": used.blobs,
                    "repositories_count": count,
                    "counted": used.is_counted,
                }
                for used, count in found
            ],
            safe=False,
        )


def _as_json(found: Statistics) -> dict[str, Any]:
    return {
        "path": found.path,
        "repositories_count": found.repositories,
        "tags_count": found.tags,
        "tags_never_pulled_count": found.never_pulled,
        "manifests_count": found.manifests,
        "blobs_count": found.blobs,
        "size_bytes": found.size,
        "alone_bytes": found.alone,
        "shared_bytes": found.shared,
        "size_precision": "default" if found.is_exact else "at_least",
    }
