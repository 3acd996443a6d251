"""Reading the layers of images: the whole life of a `FileJob`, whose status is the queue.

    request ──► scheduled ── take ──► ongoing ── each layer ──► finished
                    ▲                   │ │
                    └──── give_back ────┘ └──────────────────► failed

A layer that has been read is kept by its digest, so whoever takes a job over goes on with the next
one. A worker owns a row by its lease (`gitlab.jobs.leases`).
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from typing import Any

from django.db import transaction
from django.utils import timezone

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.layers import image_files, storing
from gitlab.container_registry.layers.comparing import Compared, compare
from gitlab.container_registry.layers.merging import Keyed, at_most
from gitlab.container_registry.layers.models import Difference, FileJob
from gitlab.container_registry.layers.reading import WrongBytes, read_layer
from gitlab.container_registry.layers.requests import LIMITS, PAGE
from gitlab.container_registry.models import ContainerRepository
from gitlab.jobs import crash_points
from gitlab.jobs.leases import LeaseLost, Leases, Outcome
from gitlab.namespaces import queries
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.policies import Ability
from gitlab.refusals import Forbidden, NotFound

KEPT = dt.timedelta(days=7)
"""How long an answer that nobody looks at is kept."""

MAX_COMPARED = 2_000_000
"""Paths of two images that a comparison looks at."""

MAX_WALKED = 10_000_000
"""Records of all layers of one image that it looks at, those too that cannot be seen."""

MAX_SECONDS = 1800.0
"""After which a job begins no further layer. Each of 127 may take the whole of its own time, and a
worker has more to do: to tell the registry of tokens that have ended, say."""

_RENEWED_EVERY = 3.0
"""Seconds."""

_SWEPT_AT_ONCE = 50
_Status = FileJob.Status
_LEASES = Leases(FileJob.objects, active=(_Status.SCHEDULED, _Status.ONGOING))


class _TooLong(Exception):
    """The job has had its time. What it has read is kept."""


# Under way, in a worker


def due() -> list[int]:
    """The jobs whose turn it is. What has not been looked at for `KEPT` goes."""
    now = timezone.now()
    old = FileJob.objects.filter(used_at__lt=now - KEPT, status__in=("finished", "failed"))
    ids = list(old.order_by("used_at").values_list("pk", flat=True)[:_SWEPT_AT_ONCE])
    FileJob.objects.filter(pk__in=ids).delete()
    storing.sweep()
    return _LEASES.due("requested_at", _SWEPT_AT_ONCE)


def take(pk: int) -> FileJob | None:
    """Make the job ours; None where it does not wait, or another worker was faster."""
    related = ("repository__project__namespace", "other__project__namespace", "by")
    return _LEASES.take(pk, *related, status=_Status.ONGOING)


def run(pk: int, registry: Registry | None = None) -> Outcome:
    """Read what a job is about, if it waits."""
    row = take(pk)
    if row is None:
        return Outcome.NOT_OURS
    images = [image for image in (row.repository, row.other) if image is not None]
    if any(queries.is_path_changing(image.path) for image in images):
        return _give_back(row, "the path is being changed", counts=False)
    try:
        _require_may(row, images)
        _read(row, registry or clients.for_jobs())
        return _finish(row)
    except LeaseLost:
        return Outcome.NOT_OURS
    except RegistryUnavailable as error:
        return _give_back(row, str(error))
    except (Forbidden, NotFound, WrongBytes, RegistryRefused, _TooLong) as error:
        return _end(row, _Status.FAILED, failure_reason=_why(error)[:500])


def _why(error: Exception) -> str:
    """In words, why a job has failed for good."""
    if isinstance(error, WrongBytes | _TooLong):
        return str(error)
    if isinstance(error, RegistryRefused):
        return f"A layer can't be read: {error}."
    return f"Not allowed: {error}."


def _require_may(row: FileJob, images: Sequence[ContainerRepository]) -> None:
    """Whoever asked still may. Raises `Forbidden`, `NotFound`."""
    if row.by is None:
        raise Forbidden("whoever asked is not here any more")
    for image in images:
        require_in_project(row.by, image.project, Ability.READ_IMAGE)


def _read(row: FileJob, registry: Registry) -> None:
    """Read the layers that have not been read; of the others the registry says whether it serves
    them to this image: once for all of them. Raises `_TooLong` before the layer that would begin
    behind `MAX_SECONDS`.
    """
    row.done_bytes, ends = 0, time.monotonic() + MAX_SECONDS
    has_read = False
    for image, digests in ((row.repository, row.layers), (row.other, row.other_layers)):
        if image is None:
            continue
        wanted = list(dict.fromkeys(digests))
        unread = storing.missing(wanted)
        known = [digest for digest in wanted if digest not in unread]
        if known and set(known) - registry.has_blobs(image.path, known):
            raise NotFound("a layer is not in this image")
        row.done_bytes += sum(row.sizes.get(digest, 0) for digest in known)
        for digest in wanted:
            if digest not in unread:
                continue
            if has_read and time.monotonic() >= ends:
                raise _TooLong("It takes too long: ask again, and it goes on with the next layer.")
            _read_layer(row, registry, image.path, digest)
            has_read = True
            crash_points.reached("layer_read")
    _LEASES.require(row, done_bytes=min(row.done_bytes, row.total_bytes))


def _read_layer(row: FileJob, registry: Registry, path: str, digest: str) -> None:
    chunks = _counted(row, registry.layer(path, digest))
    storing.store(digest, read_layer(chunks, digest, LIMITS))


def _counted(row: FileJob, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The chunks, while the row tells how many bytes there were. Raises `LeaseLost`."""
    told = time.monotonic()
    for chunk in chunks:
        row.done_bytes += len(chunk)
        if time.monotonic() - told > _RENEWED_EVERY:
            _LEASES.require(row, done_bytes=min(row.done_bytes, row.total_bytes))
            told = time.monotonic()
        yield chunk


def _finish(row: FileJob) -> Outcome:
    layers = storing.listed(row.layers)
    others = storing.listed(row.other_layers)
    if layers is None or others is None:
        return _give_back(row, "a listing was removed meanwhile")
    if row.other_id is None:
        return _end(row, _Status.FINISHED)
    found = compare(
        *(image_files.everything(each, partial(_passing, row)) for each in (layers, others)),
        most=MAX_COMPARED,
    )
    with transaction.atomic():
        # Under our lease, so that of two workers one has written all of it.
        ended = _end(row, _Status.FINISHED, totals=_totals(found), is_cut=found.is_cut)
        if ended is Outcome.DONE:
            _store(row, found)
    return ended


def _passing(row: FileJob, records: Iterable[Keyed]) -> Iterator[Keyed]:
    """Records of an image as they pass, and the row is renewed. Raises `LeaseLost`, `WalkedFar`."""
    told = time.monotonic()
    for each in at_most(records, MAX_WALKED):
        if time.monotonic() - told > _RENEWED_EVERY:
            _LEASES.require(row)
            told = time.monotonic()
        yield each


def _totals(found: Compared) -> dict[str, Any]:
    return {
        kind: {"count": found.counts[kind], "bytes": found.byte_counts[kind]}
        for kind in found.counts
    }


def _store(row: FileJob, found: Compared) -> None:
    Difference.objects.filter(job=row).delete()
    Difference.objects.bulk_create(
        Difference(job=row, change=kind, number=start // PAGE, entries=changes[start:][:PAGE])
        for kind, changes in found.largest.items()
        for start in range(0, len(changes), PAGE)
    )


def _end(row: FileJob, status: _Status, **columns: Any) -> Outcome:
    if not _LEASES.release(row, status=status, finished_at=timezone.now(), **columns):
        return Outcome.NOT_OURS
    return Outcome.FAILED if status == _Status.FAILED else Outcome.DONE


def _give_back(row: FileJob, reason: str, *, counts: bool = True) -> Outcome:
    fail = partial(_end, row, _Status.FAILED)
    return _LEASES.give_back(row, reason, fail, counts=counts, status=_Status.SCHEDULED)
