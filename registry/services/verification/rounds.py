"""Rounds of verification: where one stands, and the slow one that GitLab's schedule drives.

The schedule calls for the next slice once a minute; a slice is one page of one phase, and its
cursor is a row. A round that ends begins again. What it finds is logged and kept as rows; those
that the next round does not find again are removed when it ends.
"""

from __future__ import annotations

import datetime as dt
import logging
import uuid
from collections.abc import Iterator

from django.utils import timezone

from registry.models import Finding as FindingRow
from registry.models import Receipt, Verification
from registry.services import cursors, database
from registry.services.garbage import reviews
from registry.services.verification import listing
from registry.services.verification.comparison import (
    MEBIBYTE,
    PHASES,
    Finding,
    Page,
    Verifier,
    on_orphan,
)
from registry.storage import chosen as storage

log = logging.getLogger("registry.verification")

SCHEDULE, COMMAND = "schedule", "command"
SLICE_BYTES = 256 * MEBIBYTE
"""What a slice of the schedule reads; a blob that is larger is left to the command."""


def begin(name: str, *, resume: bool) -> Verification:
    """The round `name`: where it stands, or from its beginning."""
    row, is_new = Verification.objects.get_or_create(name=name, defaults={"phase": PHASES[0]})
    if is_new or (resume and row.finished_at is None and row.phase in PHASES):
        return row
    now = timezone.now()
    row.phase, row.position, row.checked, row.bytes = PHASES[0], "", 0, 0
    row.started_at, row.updated_at, row.finished_at = now, now, None
    row.save()
    return row


def step(row: Verification, verifier: Verifier) -> Page:
    """The next page of a round. The row then says where the next one begins."""
    page = verifier.page(row.phase, row.position)
    row.checked += page.checked
    row.bytes += page.bytes
    row.updated_at = timezone.now()
    if page.position is not None:
        row.position = page.position
    else:
        following = PHASES.index(row.phase) + 1
        row.position = ""
        if following < len(PHASES):
            row.phase = PHASES[following]
        else:
            row.finished_at = row.updated_at
    row.save()
    return page


def rounds(row: Verification, verifier: Verifier) -> Iterator[Page]:
    """The pages that are left of a round."""
    while row.finished_at is None:
        yield step(row, verifier)


def slice_of_schedule(count: int) -> tuple[Verification, Page]:
    """Verify the next `count` things of the slow round, reading their data.

    Two calls at once do the same slice twice, which is harmless.
    """
    row = begin(SCHEDULE, resume=True)
    verifier = Verifier(
        reads_data=True, page_size=count, page_bytes=SLICE_BYTES, largest=SLICE_BYTES
    )
    page = step(row, verifier)
    page.findings = [
        finding
        for finding in page.findings
        # A drift was logged and mended where it was found.
        if finding.kind != "usage" and not (_swept(finding) or _recorded(finding))
    ]
    for finding in page.findings:
        _keep(finding)
    if row.finished_at is not None:
        gone, _ = FindingRow.objects.filter(seen_at__lt=row.started_at).delete()
        left = FindingRow.objects.count()
        log.info("verified all: %s checked, %s faults, %s healed", row.checked, left, gone)
    return row, page


def _swept(finding: Finding) -> bool:
    """Remove a file that a crash has left; whether it was one.

    A push that dies after its bytes are in place and before its row leaves one: that is no damage.
    It goes when it is older than the window in which deletions can be undone, so that there is time
    to see that a database was restored which is older than the store.
    """
    if finding.kind != "orphan file":
        return False
    store, digest = storage.current(), finding.subject
    found = store.status(digest)
    if found is None or found.modified_at > timezone.now() - reviews.window():
        return False
    if not on_orphan(digest, lambda: store.delete(digest)):
        return False
    cursors.announce(Receipt)
    Receipt.objects.create(
        kind="file",
        digest=digest,
        bytes=found.size,
        reason="left by a crash",
        garbage_since=found.modified_at,
        run=uuid.uuid4(),
    )
    log.info("removed %s bytes that a crash had left: %s", found.size, digest)
    return True


def _recorded(finding: Finding) -> bool:
    """Write the rows of what a manifest lists; whether that was what is wrong.

    An older version has left them out, which is no damage. It only holds more than before.
    """
    if finding.kind != "unrecorded list":
        return False
    count = listing.record(int(finding.subject))
    log.info("%s digests are held that a manifest lists: %s", count, finding.detail)
    return True


def _keep(finding: Finding) -> None:
    """Log a finding when it is new, and keep it."""
    detail = ", ".join([finding.detail, *finding.needed_by])
    now = timezone.now()
    with database.atomic():
        row, is_new = FindingRow.objects.get_or_create(
            kind=finding.kind, subject=finding.subject, defaults={"detail": detail}
        )
        FindingRow.objects.filter(pk=row.pk).update(seen_at=now, detail=detail)
    if is_new:
        log.error("verification: %s %s: %s", finding.kind, finding.subject, detail)


def kept(limit: int = 100) -> list[FindingRow]:
    """What the slow round has found and not yet seen healed, the newest first."""
    return list(FindingRow.objects.order_by("-pk")[:limit])


def current_since() -> dt.datetime | None:
    """When the slow round that is under way began, None before its first slice."""
    row = Verification.objects.filter(name=SCHEDULE).first()
    return row.started_at if row else None
