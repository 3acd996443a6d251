"""A chain of digests over the events, so that an auditor sees whether one was changed or left out.

Whoever records something adds a row and waits for nobody. A job seals what has been added a few
seconds later: it gives each event the next position, and a digest over its content and the digest
before. So the order of the chain is that in which events became visible, and one whose transaction
takes long comes later. Until it is sealed an event is protected by the database's triggers alone:
that window is as long as the worker needs, seconds while it runs.

What is proven is that nothing has changed since somebody kept a position and its digest elsewhere:
`verify` compares with them, and whatever is streamed or exported carries them.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from gitlab.audit.models import AuditChain, AuditEvent
from gitlab.audit.triggers import CONTENT

BATCH = 500
"""Events that one transaction seals: milliseconds, so that nobody waits long for SQLite's lock."""

MOST_FAULTS = 20
"""What is wrong that `verify` tells of."""

_SEAL = """
UPDATE audit_auditevent SET chain_position = %s, digest = %s
WHERE id = %s AND chain_position IS NULL
"""


def canonical(event: AuditEvent) -> bytes:
    """The content of an event as its digest covers it: JSON with sorted names, in UTF-8.

    Without the digest itself. Times are UTC, to the microsecond.
    """
    content: dict[str, Any] = {name: getattr(event, name) for name in CONTENT}
    content["at"] = event.at.astimezone(dt.UTC).isoformat(timespec="microseconds")
    content["chain_position"] = event.chain_position
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()


def digest_of(event: AuditEvent, before: str) -> str:
    """The SHA-256 of the digest before, in hexadecimal ("" for the first), a line feed, and the
    content.
    """
    return hashlib.sha256(before.encode() + b"\n" + canonical(event)).hexdigest()


def hold() -> AuditChain:
    """The chain's row, held until the transaction ends."""
    AuditChain.objects.get_or_create(pk=AuditChain.THE_ONE)
    return AuditChain.objects.select_for_update().get(pk=AuditChain.THE_ONE)


def seal(batches: int = 20) -> int:
    """Seal what is not yet, in the order of the ids; how many were sealed.

    May run at any time and twice: of two at once the second waits. What `batches` leave is for the
    next time.
    """
    total = 0
    for _ in range(batches):
        with transaction.atomic():
            sealed = _seal_batch()
        total += sealed
        if sealed < BATCH:
            break
    return total


def _seal_batch() -> int:
    if not unsealed().exists():
        return 0
    chain = hold()
    position, digest = chain.position, chain.digest
    values = []
    for event in unsealed().order_by("pk")[:BATCH]:
        position += 1
        event.chain_position = position
        digest = digest_of(event, digest)
        values.append((position, digest, event.pk))
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(_SEAL, values)
        AuditChain.objects.filter(pk=chain.pk).update(
            position=position, digest=digest, sealed_at=timezone.now()
        )
    return len(values)


def unsealed() -> QuerySet[AuditEvent]:
    """The events that have no place in the chain yet."""
    return AuditEvent.objects.filter(chain_position__isnull=True)


def sweep(before: dt.datetime, limit: int) -> int:
    """Remove the oldest of the chain that happened before a moment, at most `limit`; how many went.

    Only its beginning goes: what is old and stands behind something younger waits for that. The
    chain keeps the last digest that is gone, so that the rest can still be verified.
    """
    chain = hold()
    oldest = AuditEvent.objects.filter(chain_position__gt=chain.swept).order_by("chain_position")
    gone = 0
    for event in oldest.only("chain_position", "digest", "at")[:limit]:
        if event.at >= before:
            break
        chain.swept, chain.swept_digest = event.chain_position or 0, event.digest
        gone += 1
    if gone:
        chain.save(update_fields=["swept", "swept_digest"])
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM audit_auditevent WHERE chain_position <= %s", [chain.swept])
    return gone


@dataclass
class Verdict:
    """What `verify` has found. Without `faults` the chain is whole."""

    first: int = 0
    """The position of the first event that is there."""
    last: int = 0
    """The position of the last event that is sealed, and its digest."""
    digest: str = ""
    count: int = 0
    """Events that were looked at."""
    unsealed: int = 0
    unsealed_since: dt.datetime | None = None
    swept: int = 0
    """Events at the beginning of the chain whose time was over."""
    faults: list[str] = field(default_factory=list)

    def add(self, fault: str) -> None:
        """Tell of a fault, or that there are more than are told."""
        if len(self.faults) < MOST_FAULTS:
            self.faults.append(fault)


def verify(kept_position: int | None = None, kept_digest: str = "") -> Verdict:
    """Compute every digest again, from the first event that is there to the last that is sealed.

    With a position and a digest that somebody kept, whether the chain has led there. Events are
    read in pages; those that are sealed meanwhile are left for the next time.
    """
    with transaction.atomic():
        chain, _ = AuditChain.objects.get_or_create(pk=AuditChain.THE_ONE)
    verdict = Verdict(chain.swept + 1, chain.swept, chain.swept_digest, swept=chain.swept)
    if kept_position is not None and kept_position < chain.swept:
        verdict.add(f"{kept_position} is gone, whose time was over: keep one behind {chain.swept}")
    _compare(verdict, kept_position, kept_digest)
    for event in _pages(chain.swept, chain.position):
        _look_at(verdict, event)
        _compare(verdict, kept_position, kept_digest)
    if (verdict.last, verdict.digest) != (chain.position, chain.digest):
        verdict.add(f"the chain ends at {verdict.last}, and was sealed up to {chain.position}")
    if kept_position is not None and kept_position > chain.position:
        verdict.add(f"{kept_position} was sealed once, and the chain ends at {chain.position}")
    waiting = unsealed().order_by("pk")
    first = waiting.first()
    verdict.unsealed = waiting.count()
    verdict.unsealed_since = first.at if first else None
    return verdict


def _look_at(verdict: Verdict, event: AuditEvent) -> None:
    position = event.chain_position or 0
    if position != verdict.last + 1:
        verdict.add(f"{position - verdict.last - 1} missing behind position {verdict.last}")
    elif digest_of(event, verdict.digest) != event.digest:
        verdict.add(f"the event {event.pk} at position {position} is not what was sealed")
    verdict.last, verdict.digest = position, event.digest
    verdict.count += 1


def _compare(verdict: Verdict, kept_position: int | None, kept_digest: str) -> None:
    if verdict.last == kept_position and verdict.digest != kept_digest:
        verdict.add(f"the digest at {kept_position} is another than the one that was kept")


def _pages(after: int, up_to: int) -> Iterator[AuditEvent]:
    rows = AuditEvent.objects.order_by("chain_position").filter(chain_position__lte=up_to)
    while page := list(rows.filter(chain_position__gt=after)[:BATCH]):
        yield from page
        after = page[-1].chain_position or 0
