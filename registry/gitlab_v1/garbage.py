"""The collector: its queue, its reviews and receipts, its reasons, and the lease that pauses it."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry import digest as digests
from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.gitlab_v1 import verifications
from registry.gitlab_v1.base import GarbageView, cursor
from registry.models import CAUSE_LENGTH
from registry.services import exporting, repositories, retention, upload_expiry, usage
from registry.services.garbage import causes, forecast, holders, leases, removals, reviews
from registry.services.garbage import collection as garbage
from registry.services.garbage.batches import receipts_after
from registry.timestamps import timestamp
from registry.v2.base import RegistryView, empty, page_size
from registry.v2.pages import fitting
from tokens.access import Access

_EXPIRED_UPLOADS = 100
_SWEPT = 1000
"""Events, receipts and intervals of tags that go with one call, where their time is over."""

_COUNTS = 20
"""Steps of the counts of what is used that go with one call."""

_LEASE = 3600
"""Seconds, where the caller does not say."""


class ReviewsView(GarbageView):
    """``POST /gitlab/v1/garbage/reviews/``."""

    def post(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """Review the next batch of candidates, and remove uploads, events, receipts and history
        whose time is over. Counts of what is used go on.

        With ``dry_run=true`` say what would go, and change nothing.
        """
        limit = page_size(request, default=100)
        if request.GET.get("dry_run") == "true":
            return _dry_run(limit)
        expired = upload_expiry.purge_expired(_EXPIRED_UPLOADS)
        upload_expiry.sweep_left()
        retention.sweep(_SWEPT)
        usage.count_some(_COUNTS)
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


def _dry_run(limit: int) -> JsonResponse:
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


class QueueView(GarbageView):
    """``GET /gitlab/v1/garbage/``."""

    def get(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """How much waits for review, and what went lately, by day."""
        lease = leases.current()
        return JsonResponse(
            {
                "due": reviews.due(),
                "next_due_at": timestamp(reviews.next_due_at()),
                "paused_until": timestamp(lease.until if lease else None),
                "paused_because": lease.reason if lease else "",
                "verification": verifications.findings(),
                "removed": [
                    {"day": each.day.isoformat(), "count": each.removed, "bytes": each.bytes}
                    for each in removals.by_day()
                ],
            }
        )


class ReceiptsView(GarbageView):
    """``GET /gitlab/v1/garbage/receipts/``."""

    def get(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """What was removed, in order, after the receipt ``after``."""
        limit = page_size(request, default=100)
        found = receipts_after(cursor(request), limit)
        body = (exporting.receipt(receipt) for receipt in found)
        return JsonResponse(fitting(body)[0], safe=False)


class CausesView(GarbageView):
    """``GET /gitlab/v1/garbage/causes/<cause>``."""

    def get(self, request: HttpRequest, caller: Caller, cause: str) -> HttpResponse:
        """What was removed because of a job of GitLab's side, which its token has named.

        ``waiting`` reviews are still to come because of it: at 0 the collector is done. ``bytes``
        are those of blobs. Of a cause that nobody has named all is 0.
        """
        found = causes.collected(cause[:CAUSE_LENGTH])
        return JsonResponse(
            {
                "waiting": found.waiting,
                "removed": found.removed,
                "bytes": found.bytes,
                "last_removed_at": timestamp(found.at),
            }
        )


class WhyView(GarbageView):
    """``GET /gitlab/v1/garbage/why/<digest>``."""

    def get(self, request: HttpRequest, caller: Caller, digest: str) -> HttpResponse:
        """The chains that hold a digest, or when it goes and why. 404 where it is unknown."""
        return _why(holders.why(digests.check(digest)))


class HoldersView(RegistryView):
    """``GET /gitlab/v1/berth/holders/<path>/?digest=``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """As `WhyView`, of what is in one image, and nothing of what is elsewhere.

        Needs pull on what is below it too, which only GitLab's own tokens grant: the answer takes a
        thousand queries at most, and GitLab says who may ask for that.
        """
        caller.require(Access.repository(f"{name}/*", "pull"))
        digest = digests.check(request.GET.get("digest", ""))
        return _why(holders.why(digest, repositories.get_id(name)))


def _why(found: holders.Answer) -> HttpResponse:
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


class LeaseView(GarbageView):
    """``/gitlab/v1/garbage/lease/``: pause the collector, and let it go on."""

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
