"""What was deleted and can still be brought back."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.auth import Caller
from registry.gitlab_v1.repositories import timestamp
from registry.services import deleted
from registry.v2.base import RegistryView, page_size


class DeletedTagsView(RegistryView):
    """``GET /gitlab/v1/repository-paths/<path>/tags/deleted/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Deleted tags at and below a path within the undo window, the latest first.

        ``interval`` is what ``restore/`` takes; ``until`` is when that is over.
        """
        found = deleted.tags_below(name, page_size(request, default=100))
        body = [
            {
                "path": tag.repository,
                "name": tag.name,
                "interval": tag.interval,
                "digest": tag.digest,
                "size_bytes": tag.size,
                "deleted_at": timestamp(tag.deleted_at),
                "deleted_by": tag.deleted_by,
                "until": timestamp(tag.until),
            }
            for tag in found
        ]
        return JsonResponse(body, safe=False)
