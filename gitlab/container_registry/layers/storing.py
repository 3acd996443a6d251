"""Listings of layers in the database: packed, in parts that are found by their keys."""

from __future__ import annotations

import datetime as dt
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice

from django.db import transaction
from django.db.models import F, Max, Min, Q, Sum
from django.utils import timezone

from gitlab.container_registry.layers.entries import joined, key_in, split
from gitlab.container_registry.layers.models import LayerPart, ListedLayer
from gitlab.container_registry.layers.reading import LayerContents

PART = 1000
PART_BYTES = 64 * 1024
"""Records in a part and their bytes, whichever ends first: what a page of a folder unpacks of a
layer, at least. Of each layer one part is in memory at a time."""

MAX_STORED = 2 * 1024**3
"""Bytes of all listings. Above, those go that nobody has used for the longest time."""

KEPT = dt.timedelta(days=14)
_USED_EVERY = dt.timedelta(hours=12)
_REMOVED_AT_ONCE = 50
Ranges = Sequence[tuple[bytes, bytes | None]]
"""From a key to one that is no part of it; None for no end."""


def store(digest: str, found: LayerContents) -> None:
    """Keep what was read of a layer. Of two at the same time one is kept."""
    with transaction.atomic():
        row, is_new = ListedLayer.objects.get_or_create(
            digest=digest,
            defaults={
                "packed_bytes": found.packed_bytes,
                "unpacked_bytes": found.unpacked_bytes,
                "entries_count": len(found.records),
                "stored_bytes": 0,
                "fault": found.fault[:300],
                "left_out": found.left_out[:300],
            },
        )
        if not is_new:
            return
        stored = 0
        for number, records in enumerate(_in_parts(found.records)):
            packed = zlib.compress(joined(records), 3)
            stored += len(packed)
            LayerPart.objects.create(
                layer=row,
                number=number,
                first=key_in(records[0]),
                last=key_in(records[-1]),
                records=packed,
            )
        ListedLayer.objects.filter(pk=row.pk).update(stored_bytes=stored)


def _in_parts(records: Sequence[bytes]) -> Iterator[Sequence[bytes]]:
    start = size = 0
    for number, record in enumerate(records):
        if number > start and (number - start == PART or size + len(record) > PART_BYTES):
            yield records[start:number]
            start, size = number, 0
        size += len(record)
    if records:
        yield records[start:]


def listed(digests: Sequence[str]) -> list[ListedLayer] | None:
    """The layers in this order, None where one has not been read, or is not kept any more."""
    rows = ListedLayer.objects.in_bulk(list(set(digests)), field_name="digest")
    return [rows[digest] for digest in digests] if len(rows) == len(set(digests)) else None


def missing(digests: Sequence[str]) -> set[str]:
    """Those that have not been read."""
    known = ListedLayer.objects.filter(digest__in=set(digests)).values_list("digest", flat=True)
    return set(digests) - set(known)


def touch(layers: Sequence[ListedLayer]) -> None:
    """Note that they are used, at most twice a day."""
    now = timezone.now()
    old = [layer.pk for layer in layers if layer.used_at < now - _USED_EVERY]
    if old:
        ListedLayer.objects.filter(pk__in=old).update(used_at=now)


def records_of_each(layers: Sequence[ListedLayer], ranges: Ranges) -> list[Iterator[bytes]]:
    """The records of each layer in ranges that follow each other, in order, read as they are taken.

    Two queries for the first part of each, and one for each part that follows.
    """
    overlapping = _overlapping(ranges)
    ids = {layer.pk for layer in layers}
    rows = LayerPart.objects.filter(overlapping, layer__in=ids).order_by()
    ends = {
        layer: (first, last)
        for layer, first, last in rows.values_list("layer").annotate(Min("pk"), Max("number"))
    }
    firsts = LayerPart.objects.in_bulk([first for first, _ in ends.values()])

    def records(layer: int) -> Iterator[bytes]:
        first, last = ends[layer]
        part: LayerPart | None = firsts[first]
        while part is not None:
            yield from _within(part, ranges)
            following = rows.filter(layer=layer, number__gt=part.number).order_by("number")
            part = following.first() if part.number < last else None

    return [records(layer.pk) if layer.pk in ends else iter(()) for layer in layers]


def _overlapping(ranges: Ranges) -> Q:
    """The parts that have something of a range."""
    found = Q()
    for low, high in ranges:
        overlaps = Q(last__gte=low)
        found |= overlaps if high is None else overlaps & Q(first__lt=high)
    return found


def _within(part: LayerPart, ranges: Ranges) -> Iterator[bytes]:
    for record in split(zlib.decompress(part.records)):
        key = key_in(record)
        if any(low <= key and (high is None or key < high) for low, high in ranges):
            yield record


def sweep() -> int:
    """Remove listings that nobody has used for `KEPT`, and more where there is too much."""
    old = ListedLayer.objects.filter(used_at__lt=timezone.now() - KEPT)
    ids = list(old.order_by("used_at").values_list("pk", flat=True)[:_REMOVED_AT_ONCE])
    total = ListedLayer.objects.aggregate(total=Sum(F("stored_bytes")))["total"] or 0
    if not ids and total > MAX_STORED:
        longest = ListedLayer.objects.order_by("used_at").values_list("pk", "stored_bytes")
        for pk, size in islice(longest, _REMOVED_AT_ONCE):
            if total <= MAX_STORED:
                break
            ids.append(pk)
            total -= size
    ListedLayer.objects.filter(pk__in=ids).delete()
    return len(ids)
