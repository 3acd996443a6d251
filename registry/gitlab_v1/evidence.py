"""What can be proven of garbage: what holds a digest, what would go, what verification has found.

The lease is here too: it pauses the collector for a backup.
"""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry import digest as digests
from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.gitlab_v1.repositories import timestamp
from registry.services.garbage import forecast, holders, leases
from registry.services.verification import rounds as verification_rounds
from registry.v2.base import RegistryView, empty, page_size
from tokens.access import Access

GARBAGE = Access("registry", "garbage", ("*",))
_LEASE = 3600


class WhyView(RegistryView):
    """``GET /gitlab/v1/garbage/why/<digest>``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """``registry:garbage:*``."""
        return GARBAGE

    def get(self, request: HttpRequest, caller: Caller, digest: str) -> HttpResponse:
        """The chains that hold a digest, or when it goes and why. 404 where it is unknown."""
        found = holders.why(digests.check(digest))
        body = {
            "digest": found.digest,
            "state": found.state,
            "kinds": found.kinds,
            "bytes": found.size,
            "stored": found.is_stored,
            "goes_at": timestamp(found.goes_at),
            "because": found.because,
            "paused_until": timestamp(found.paused_until),
            "complete": found.is_whole,
            "holders": [
                {
                    "repository": holder.repository,
                    "repository_id": holder.repository_id,
                    "chain": holder.chain,
                    "until": timestamp(holder.until),
                }
                for holder in found.holders
            ],
        }
        return JsonResponse(body, status=404 if found.state == "unknown" else 200)


def dry_run(limit: int) -> JsonResponse:
    """What reviewing up to `limit` candidates would remove, as the API says it."""
    found = forecast.forecast(limit)
    return JsonResponse(
        {
            "dry_run": True,
            "reviewed": found.reviewed,
            "removed": found.removed,
            "bytes": found.bytes,
            "removed_later": found.removed_later,
            "bytes_later": found.bytes_later,
            "complete": found.is_whole,
            "paused": found.is_paused,
            "items": [_item(item) for item in found.items],
            "later": [_item(item) for item in found.later],
        }
    )


def _item(item: forecast.Item) -> dict[str, Any]:
    return {
        "kind": item.kind,
        "digest": item.digest,
        "repository": item.repository,
        "bytes": item.bytes,
        "reason": item.reason,
        "at": timestamp(item.at),
    }


class VerificationsView(RegistryView):
    """``POST /gitlab/v1/garbage/verifications/``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """``registry:garbage:*``."""
        return GARBAGE

    def post(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """Verify the next ``n`` things of the slow round, and remember where it stands."""
        row, page = verification_rounds.slice_of_schedule(page_size(request, default=100) or 1)
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
        "verified_since": timestamp(verification_rounds.current_since()),
        "faults": [
            {
                "kind": row.kind,
                "subject": row.subject,
                "detail": row.detail,
                "found_at": timestamp(row.found_at),
            }
            for row in verification_rounds.kept()
        ],
    }


class LeaseView(RegistryView):
    """``/gitlab/v1/garbage/lease/``: pause the collector, and let it go on."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """``registry:garbage:*``."""
        return GARBAGE

    def post(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """Pause for ``seconds`` (an hour), with a ``reason``; with ``id`` renew that lease."""
        seconds = request.GET.get("seconds", str(_LEASE))
        longest = int(leases.LONGEST.total_seconds())
        if not (seconds.isascii() and seconds.isdecimal() and 0 < int(seconds[:9]) <= longest):
            raise RegistryError(
                Code.UNSUPPORTED, f"seconds are 1 to {longest}", status=400, seconds=seconds[:40]
            )
        duration = dt.timedelta(seconds=int(seconds))
        lease_id = _lease_id(request)
        if lease_id is not None:
            if not leases.renew(lease_id, duration):
                raise RegistryError(Code.UNSUPPORTED, "this lease has ended", status=404)
            return empty(204)
        lease = leases.take(duration, request.GET.get("reason", "asked for through the API"))
        body = {"id": str(lease.pk), "until": timestamp(lease.until)}
        return JsonResponse(body, status=201)

    def delete(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """End the lease ``id``, or all of them."""
        leases.end(_lease_id(request))
        return empty(204)


def _lease_id(request: HttpRequest) -> uuid.UUID | None:
    text = request.GET.get("id", "")
    try:
        return uuid.UUID(text) if text else None
    except ValueError as error:
        raise RegistryError(Code.UNSUPPORTED, "id is no lease", status=400) from error
