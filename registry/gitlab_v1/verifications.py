"""The slow round of verification, which GitLab's schedule drives."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.auth import Caller
from registry.gitlab_v1.base import GarbageView
from registry.services.verification import rounds
from registry.timestamps import timestamp
from registry.v2.base import page_size


class VerificationsView(GarbageView):
    """``POST /gitlab/v1/garbage/verifications/``."""

    def post(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """Verify the next ``n`` things of the slow round, and remember where it stands."""
        row, page = rounds.slice_of_schedule(page_size(request, default=100) or 1)
        return JsonResponse(
            {
                "phase": row.phase,
                "position": row.position,
                "checked": page.checked,
                "bytes": page.bytes,
                "faults": len(page.findings),
                "finished": row.finished_at is not None,
            }
        )


def findings() -> dict[str, Any]:
    """What the slow round has found, for the state of the queue."""
    return {
        "verified_since": timestamp(rounds.current_since()),
        "faults": [
            {
                "kind": row.kind,
                "subject": row.subject,
                "detail": row.detail,
                "found_at": timestamp(row.found_at),
            }
            for row in rounds.kept()
        ],
    }
