"""Telling the registry which tokens have ended: at once, and again until it has heard."""

from __future__ import annotations

import datetime as dt
import time

from django.utils import timezone

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import Ended
from gitlab.revocations.models import Revocation

AT_ONCE = 500
KEPT = dt.timedelta(days=1)


def tell(registry: Registry | None = None) -> int:
    """Tell the registry of all revocations that it has not heard of; how many that were.

    The moment is that of telling: each row was committed before, so that whatever is decided after
    it knows of the change. Another registry than ours can't be told: its tokens live their ten
    minutes. Raises `RegistryUnavailable`, `RegistryRefused`; what it has not heard stays untold.
    """
    count = 0
    while waiting := list(Revocation.objects.filter(told_at=None).order_by("pk")[:AT_ONCE]):
        own = (registry or clients.for_jobs()).own
        if own is not None:
            keys = dict.fromkeys((row.credential, row.subject, row.path) for row in waiting)
            own.revoke([Ended(*key) for key in keys], time.time())
        told = Revocation.objects.filter(pk__in=[row.pk for row in waiting])
        count += told.update(told_at=timezone.now())
    Revocation.objects.filter(told_at__lt=timezone.now() - KEPT).delete()
    return count
