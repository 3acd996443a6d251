"""Bytes that no row knows any more, removed under their tombstones.

The transaction that removes a blob's row writes a tombstone for its digest. The unlinking deletes
it in a transaction that stays open until the bytes have gone. A commit of the same digest clears
the tombstone before it moves its bytes into place, so it either finds the old bytes gone or makes
the unlinking a no-op. `docs/garbage-collection.md` draws it.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import time
from collections.abc import Iterable

from django.utils import timezone

from registry import crash_points
from registry.models import Tombstone
from registry.services import database
from registry.storage import chosen as storage
from registry.storage.base import StorageFull, StorageUnavailable

log = logging.getLogger("registry.garbage")

_HELD = 0.1
"""Seconds for which one transaction goes on to the next digest: an upload of one of them waits."""

_STEP = 5
_AT_ONCE = 1000


def unlink(digests: Iterable[str]) -> int:
    """Remove the bytes of digests whose tombstones still stand; how many bytes the store got back.

    In order of the digest, so that two who unlink never wait for each other in a ring.
    """
    left = sorted(digests, reverse=True)
    freed = 0
    while left:
        taken: list[str] = []
        started = time.monotonic()
        try:
            with database.atomic():
                # From here on others wait; before, this one may have waited for longer than that.
                started = time.monotonic()
                while left and time.monotonic() - started < _HELD:
                    some = [left.pop() for _ in range(min(_STEP, len(left)))]
                    taken += some
                    freed += _unlink_some(some)
                    if database.others_wait():
                        break
        except StorageUnavailable:
            freed += _unlink_reachable(taken)
        database.let_others_write(time.monotonic() - started)
    return freed


def _unlink_reachable(digests: list[str]) -> int:
    """One by one, where the store can't reach one of them: its tombstone stays for a later run.

    Raises `StorageUnavailable` where that is so for the whole store.
    """
    with contextlib.suppress(StorageFull):
        storage.current().check()
    freed = 0
    for digest in digests:
        try:
            with database.atomic():
                freed += _unlink_some([digest])
        except StorageUnavailable as error:
            log.error("the bytes of %s can't be removed: %s", digest, error)
    return freed


def _unlink_some(digests: list[str]) -> int:
    """In a transaction that then holds their tombstones."""
    holes = ", ".join(["%s"] * len(digests))
    # Where a commit of the same digest has cleared it, the bytes are its own now.
    doomed = database.column(
        f"DELETE FROM registry_tombstone WHERE digest IN ({holes}) RETURNING digest", digests
    )
    store = storage.current()
    freed = 0
    for digest in doomed:
        size = store.size(digest)
        freed += (size or 0) if store.delete(digest) else 0
        crash_points.reached("gc_bytes_unlinked")
    return freed


def sweep_tombstones(*, older_than: dt.timedelta) -> int:
    """Finish what a crash left between the commit and the unlinking; how many bytes that were."""
    stale = Tombstone.objects.filter(created_at__lt=timezone.now() - older_than)
    return unlink(stale.values_list("digest", flat=True)[:_AT_ONCE])
