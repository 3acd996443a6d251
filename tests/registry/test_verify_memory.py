"""What verifying holds in memory does not follow what there is to verify."""

from __future__ import annotations

import datetime as dt
import pathlib
import statistics
import tracemalloc

import pytest
from django.utils import timezone

from registry.models import Blob, Repository, RepositoryBlob, Review
from registry.services.verification.comparison import PHASES, Verifier
from registry.storage import paths
from registry.storage.filesystem import FilesystemStore
from tests.registry import images

pytestmark = [pytest.mark.engineless, pytest.mark.django_db(databases=["registry"])]


def fill(store: FilesystemStore, start: int, end: int) -> None:
    """Blobs with their files, each with a right to it that waits for its review."""
    repository, _ = Repository.objects.get_or_create(name="acme/many")
    bodies = [b"%d" % number for number in range(start, end)]
    blobs = Blob.objects.bulk_create(
        [Blob(digest=images.digests.of(body), size=len(body)) for body in bodies], batch_size=500
    )
    links = RepositoryBlob.objects.bulk_create(
        [RepositoryBlob(repository=repository, blob=blob) for blob in blobs], batch_size=500
    )
    due = timezone.now() + dt.timedelta(days=1)
    Review.objects.bulk_create(
        [Review(kind="link", target=link.pk, reason="", due_at=due) for link in links],
        batch_size=200,
    )
    for blob, body in zip(blobs, bodies, strict=True):
        path = paths.blob(store.root, blob.digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


def verify_all() -> tuple[int, float, int]:
    """How many things a whole round looked at, the bytes that a page held, and those kept
    of all.
    """
    verifier = Verifier(reads_data=True, page_size=100)
    checked = 0
    peaks = []
    tracemalloc.start()
    for phase in PHASES:
        position: str | None = ""
        while position is not None:
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            page = verifier.page(phase, position)
            assert page.findings == []
            checked += page.checked
            position = page.position
            if page.checked:
                peaks.append(tracemalloc.get_traced_memory()[1] - before)
    # Python's table of interned strings grows by doubling, whoever has let go of the strings.
    kept = tracemalloc.take_snapshot().filter_traces([tracemalloc.Filter(False, pathlib.__file__)])
    tracemalloc.stop()
    return checked, statistics.median(peaks), sum(trace.size for trace in kept.traces)


def test_memory_is_flat(store: FilesystemStore) -> None:
    fill(store, 0, 400)
    verify_all()  # What is loaded once is no growth.
    few, page_of_few, kept_of_few = verify_all()
    fill(store, 400, 4_000)
    many, page_of_many, kept_of_many = verify_all()
    assert (few, many) == (800, 8_000)
    assert page_of_many < 2 * page_of_few + 64 * 1024
    assert kept_of_many < kept_of_few + 256 * 1024
