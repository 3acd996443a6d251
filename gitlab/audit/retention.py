"""Audit events are kept for a time that is a setting, and swept in batches once it is over."""

from __future__ import annotations

import datetime as dt

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from gitlab.audit import chain
from gitlab.audit.services import record

BATCH = 500


def sweep(batches: int = 100) -> int:
    """Remove the events whose time is over, the oldest first; how many went.

    Only what is sealed goes, from the beginning of the chain. With each batch an event says how
    many went, so that the audit itself tells of its gap. May run at any time and twice. What
    `batches` leave is for the next time.
    """
    kept: dt.timedelta = settings.AUDIT_EVENTS_KEPT
    if not kept:
        return 0
    before = timezone.now() - kept
    chain.seal()
    total = 0
    for _ in range(batches):
        with transaction.atomic():
            gone = chain.sweep(before, BATCH)
            if gone:
                record("audit_event.expire", by=None, removed=gone, before=before.isoformat())
        total += gone
        if gone < BATCH:
            break
    return total
