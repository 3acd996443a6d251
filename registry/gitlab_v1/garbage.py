"""What is global: events, and the collector that GitLab's jobs drive."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.gitlab_v1 import evidence
from registry.gitlab_v1.repositories import timestamp
from registry.services import events, uploads
from registry.services.garbage import collection as garbage
from registry.services.garbage import leases, reviews
from registry.services.garbage.batches import receipts_after
from registry.v2.base import RegistryView, page_size
from tokens.access import Access

GARBAGE = Access("registry", "garbage", ("*",))
EVENTS = Access("registry", "events", ("*",))
_EXPIRED_UPLOADS = 100


def _cursor(request: HttpRequest) -> int:
    text = request.GET.get("after", "0")
    if not text.isascii() or not text.isdecimal() or len(text) > 18:
        raise RegistryError(Code.PAGINATION_NUMBER_INVALID, after=text[:40])
    return int(text)


class _GarbageView(RegistryView):
    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """``registry:garbage:*``."""
        return GARBAGE


class ReviewsView(_GarbageView):
    """``POST /gitlab/v1/garbage/reviews/``."""

    def post(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """Review the next batch of candidates, and remove uploads whose time is over.

        With ``dry_run=true`` say what would go, and change nothing.
        """
        limit = page_size(request, default=100)
        if request.GET.get("dry_run") == "true":
            return evidence.dry_run(limit)
        expired = uploads.purge_expired(_EXPIRED_UPLOADS)
        uploads.sweep_left()
        run = garbage.review(limit)
        return JsonResponse(
            {
                "run": str(run.id),
                "reviewed": run.reviewed,
                "removed": run.removed,
                "postponed": run.postponed,
                "kept": run.kept,
                "bytes": run.bytes,
                "expired_uploads": expired,
                "next_due_at": timestamp(reviews.next_due_at()),
                "left_due": reviews.due(),
            }
        )


class QueueView(_GarbageView):
    """``GET /gitlab/v1/garbage/``."""

    def get(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """How much waits for review."""
        lease = leases.current()
        return JsonResponse(
            {
                "due": reviews.due(),
                "next_due_at": timestamp(reviews.next_due_at()),
                "paused_until": timestamp(lease.until if lease else None),
                "paused_because": lease.reason if lease else "",
                "verification": evidence.findings(),
            }
        )


class ReceiptsView(_GarbageView):
    """``GET /gitlab/v1/garbage/receipts/``."""

    def get(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """What was removed, in order, after the receipt ``after``."""
        limit = page_size(request, default=100)
        found = receipts_after(_cursor(request), limit)
        body = [
            {
                "id": receipt.pk,
                "kind": receipt.kind,
                "digest": receipt.digest,
                "repository": receipt.repository,
                "bytes": receipt.bytes,
                "reason": receipt.reason,
                "last_referrer": receipt.last_referrer,
                "garbage_since": timestamp(receipt.garbage_since),
                "removed_at": timestamp(receipt.removed_at),
                "run": str(receipt.run),
            }
            for receipt in found
        ]
        return JsonResponse(body, safe=False)


class EventsView(RegistryView):
    """``GET /gitlab/v1/events/``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """``registry:events:*``."""
        return EVENTS

    def get(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """What happened, in order, after the event ``after``."""
        found = events.after(_cursor(request), page_size(request, default=100))
        body = [
            {
                "id": event.pk,
                "at": timestamp(event.at),
                "action": event.action,
                "repository": event.repository,
                "renamed_from": event.renamed_from,
                "tag": event.tag,
                "digest": event.digest,
                "media_type": event.media_type,
                "size": event.size,
                "actor": event.actor,
                "user": event.user,
            }
            for event in found
        ]
        return JsonResponse(body, safe=False)
