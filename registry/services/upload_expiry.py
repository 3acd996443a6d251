"""Uploads that nobody has ended: their time is over, or a crash has left their bytes."""

from __future__ import annotations

import datetime as dt
import time

from django.conf import settings
from django.utils import timezone

from registry import crash_points
from registry.models import UploadSession
from registry.services import upload_parts
from registry.storage import chosen as storage

_SWEEP_INTERVAL = 3600.0
_SWEEP_AGE = dt.timedelta(days=1)
_next_sweep = [0.0]


def purge_expired(limit: int) -> int:
    """Remove up to `limit` sessions whose time is over, with their bytes; how many there were."""
    expired = list(
        UploadSession.objects.filter(expires_at__lte=timezone.now())
        .order_by("expires_at")
        .values_list("pk", flat=True)[:limit]
    )
    for session_id in expired:
        # The row first: a request that comes now finds no session instead of half of one.
        upload_parts.end([session_id])
        crash_points.reached("upload_row_deleted")
        storage.current().discard(session_id)
    return len(expired)


def sweep_left() -> int:
    """Remove what a crash has left in the store of uploads that no session counts on.

    Looked for once an hour in each process, and only among what is older than a day and than any
    upload may live. Answers how many pieces there were.
    """
    if time.monotonic() < _next_sweep[0]:
        return 0
    _next_sweep[0] = time.monotonic() + _SWEEP_INTERVAL
    age = max(_SWEEP_AGE, settings.REGISTRY_UPLOAD_EXPIRY)
    return storage.current().sweep(
        timezone.now() - age, lambda session: UploadSession.objects.filter(pk=session).exists()
    )
