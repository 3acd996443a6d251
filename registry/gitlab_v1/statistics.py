"""How much is stored, for the pages of projects and groups and for the administrator."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.auth import STATISTICS, Caller
from registry.errors import Code, RegistryError
from registry.services import repositories, statistics, usage
from registry.services.statistics import Statistics
from registry.v2.base import RegistryView
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
        what is at and below it, as shared with what else the token lets them pull.
        """
        paths = list(dict.fromkeys(request.GET.getlist("path")))
        if not 0 < len(paths) <= _MAX_PATHS:
            raise RegistryError(Code.UNSUPPORTED, f"ask for 1 to {_MAX_PATHS} paths", status=400)
        for path in paths:
            repositories.check_name(path)
        if not caller.may(STATISTICS):
            one = len(paths) == 1
            caller.require(Access.repository(paths[0], "pull") if one else STATISTICS)
        found = [statistics.of(path, caller.visible) for path in paths]
        return JsonResponse([_as_json(each) for each in found], safe=False)


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
