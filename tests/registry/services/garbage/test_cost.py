"""What collecting costs: it follows the garbage, and not what is kept."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from registry import media_types
from registry.models import (
    Blob,
    Manifest,
    ManifestBlob,
    Receipt,
    Repository,
    RepositoryBlob,
    Tag,
)
from registry.services import manifests
from registry.services.garbage import collection as garbage
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.images import ALICE

pytestmark = pytest.mark.django_db(databases=["registry"])

GARBAGE = 20
REPOSITORIES = 4


@pytest.fixture(autouse=True)
def _at_once(settings: Any) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = settings.UNDO_WINDOW = dt.timedelta(0)


def fill(name: str, count: int) -> None:
    """So many manifests that a tag holds, each with a blob of its own. Rows only."""
    repository = Repository.objects.get(name=name)

    def write(rows: list[Any]) -> list[Any]:
        made: list[Any] = type(rows[0]).objects.bulk_create(rows, batch_size=500)
        return made

    def digest(what: str, number: int) -> str:
        return images.digests.of(f"{what} {name} {number}".encode())

    blobs = write([Blob(digest=digest("blob", number), size=1) for number in range(count)])
    rights = write([RepositoryBlob(repository=repository, blob=blob) for blob in blobs])
    kept = write(
        [
            Manifest(
                repository=repository,
                digest=digest("manifest", number),
                media_type=media_types.OCI_MANIFEST,
                payload=b"{}",
                size=2,
            )
            for number in range(count)
        ]
    )
    write([ManifestBlob(manifest=m, link=right) for m, right in zip(kept, rights, strict=True)])
    write(
        [
            Tag(repository=repository, name=f"kept{number}", manifest=manifest, digest="")
            for number, manifest in enumerate(kept)
        ]
    )


def cost(total: int, store: FilesystemStore, monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Queries and calls of the store that the same garbage costs among `total` manifests."""
    names = [f"size{total}/{number}" for number in range(REPOSITORIES)]
    for name in names:
        garbage_there = [images.push_image(name, f"v{n}") for n in range(GARBAGE // REPOSITORIES)]
        fill(name, (total - GARBAGE) // REPOSITORIES)
        for image in garbage_there:
            manifests.delete(name, image.digest, ALICE)
    # As PostgreSQL's autovacuum would have done it by then.
    with connections["registry"].cursor() as cursor:
        cursor.execute("ANALYZE")
    counted: Counter[str] = Counter()
    before = Receipt.objects.count()
    # What other fixtures have patched holds for the next time too.
    with monkeypatch.context() as patched:
        for call in ("size", "delete", "blobs", "sizes"):
            real = getattr(FilesystemStore, call)

            def counting(*arguments: Any, real: Any = real, call: str = call, **more: Any) -> Any:
                counted[call] += 1
                return real(*arguments, **more)

            patched.setattr(FilesystemStore, call, counting)
        with CaptureQueriesContext(connections["registry"]) as queries:
            run = garbage.review(1000)
    counted["queries"] = len(queries)
    # Manifest, configuration and layer of each.
    assert run.removed == Receipt.objects.count() - before == 3 * GARBAGE
    assert Manifest.objects.filter(repository__name__in=names).count() == total - GARBAGE
    return counted


def test_the_work_follows_the_garbage_and_not_the_total(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = cost(1_000, store, monkeypatch)
    large = cost(10_000, store, monkeypatch)
    assert large == small
    # Each file that goes is asked for its size and unlinked; no other is touched.
    assert small["size"] == small["delete"] == 2 * GARBAGE
    assert small["blobs"] == small["sizes"] == 0
    # Two batches a repository, manifests and rights; and for each blob its tombstone.
    assert small["queries"] < REPOSITORIES * 2 * 30 + 2 * GARBAGE * 2 + 20


def test_a_batch_costs_hardly_more_than_one(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fifty candidates of a repository take less than twice the queries of one."""

    def queries(count: int) -> int:
        name = f"batch/{count}"
        pushed = [images.push_image(name, f"v{number}") for number in range(count)]
        for image in pushed:
            manifests.delete(name, image.digest, ALICE)
        with CaptureQueriesContext(connections["registry"]) as found:
            assert (
                garbage.review(count).removed == count
            )  # The manifests; their blobs come after them.
        return len(found)

    one, many = queries(1), queries(50)
    assert many < 2 * one
