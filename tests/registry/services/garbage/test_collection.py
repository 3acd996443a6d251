"""The collector: when something goes, what a run says of it, and what the database refuses."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError
from django.utils import timezone

from registry.models import (
    Manifest,
    Receipt,
    RepositoryBlob,
    Review,
    Tag,
    Tombstone,
)
from registry.services import manifests, tags, undo
from registry.services.garbage import collection as garbage
from registry.services.garbage import reviews
from registry.services.garbage.batches import Batch
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.base import APP
from tests.registry.images import ALICE
from tests.registry.services.garbage.collecting import DAY, assert_whole, collect, files

pytestmark = [
    pytest.mark.django_db(databases=["registry"]),
    pytest.mark.usefixtures("short_delays"),
]


def test_a_moved_tag_releases_its_manifest_after_the_window(clock: Any, settings: Any) -> None:
    settings.UNDO_WINDOW = 7 * DAY
    old = images.push_image(APP, "v1")
    images.push_image(APP, "v1")
    clock.advance(days=6)
    garbage.review(1000)
    assert Manifest.objects.filter(digest=old.digest).exists()
    clock.advance(days=2)
    garbage.review(1000)
    assert not Manifest.objects.filter(digest=old.digest).exists()
    past = Tag.objects.filter(ended_at__isnull=False).get()
    assert (past.digest, past.manifest_id) == (old.digest, None)


@pytest.mark.parametrize("by_digest", [False, True])
def test_what_was_deleted_stays_whole_for_the_undo_window(
    clock: Any, settings: Any, store: FilesystemStore, by_digest: bool
) -> None:
    settings.UNDO_WINDOW = 7 * DAY
    image = images.push_image(APP, "v1")
    if by_digest:
        manifests.delete(APP, image.digest, ALICE)
    else:
        tags.delete(APP, "v1", ALICE)
    for _ in range(6):
        clock.advance(days=1)
        assert garbage.review(1000).removed == 0
    if by_digest:
        assert undo.restore_manifest(APP, image.digest, ALICE) == ["v1"]
    else:
        undo.restore_tags(APP, [Tag.objects.get().pk], ALICE)
    collect(clock, rounds=10)
    assert_whole(APP, image, store)
    assert manifests.find(APP, "v1").digest == image.digest


def test_an_untagged_push_waits_for_the_window(clock: Any, settings: Any) -> None:
    settings.UNDO_WINDOW = 7 * DAY
    images.push_image(APP, None)
    clock.advance(days=6)
    garbage.review(1000)
    assert Manifest.objects.exists()
    clock.advance(days=2)
    garbage.review(1000)
    assert not Manifest.objects.exists()


def test_a_blob_without_a_manifest_goes_after_the_grace(
    clock: Any, settings: Any, store: FilesystemStore
) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = DAY
    digest = images.push_blob(APP, images.content())
    clock.advance(hours=23)
    assert garbage.review(1000).removed == 0
    clock.advance(hours=2)
    run = garbage.review(1000)
    assert (run.removed, run.bytes) == (1, 100)
    assert digest not in files(store)
    assert not RepositoryBlob.objects.exists()
    assert not Tombstone.objects.exists()


def test_a_receipt_says_what_and_why(clock: Any) -> None:
    image = images.push_image(APP, "v1")
    tags.delete(APP, "v1", ALICE)
    collect(clock)
    found = {receipt.digest: receipt for receipt in Receipt.objects.all()}
    assert set(found) == {image.digest, image.config, *image.layers}
    manifest = found[image.digest]
    assert (manifest.kind, manifest.repository, manifest.bytes) == ("manifest", APP, image.size)
    assert (manifest.reason, manifest.last_referrer) == ("tag deleted", "v1")
    layer = found[image.layers[0]]
    assert (layer.kind, layer.bytes, layer.reason) == ("blob", 100, "manifest removed")
    assert layer.garbage_since


def test_a_run_has_a_limit(clock: Any) -> None:
    for _ in range(5):
        images.push_blob(APP, images.content())
    clock.advance(days=1)
    run = garbage.review(2)
    assert (run.reviewed, run.removed) == (2, 2)
    assert reviews.due() == 3


def test_collecting_twice_is_collecting_once(clock: Any) -> None:
    images.push_image(APP, "v1")
    tags.delete(APP, "v1", ALICE)
    collect(clock)
    assert collect(clock) == 0


def test_a_conflict_postpones(clock: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    images.push_blob(APP, images.content())
    clock.advance(days=1)

    def conflict(batch: Batch) -> None:
        RepositoryBlob.objects.all().delete()
        raise IntegrityError("somebody refers to it")

    with monkeypatch.context() as patch:
        patch.setitem(garbage._JUDGES, Review.Kind.LINK, conflict)
        run = garbage.review(10)
    assert (run.postponed, run.removed) == (1, 0)
    assert RepositoryBlob.objects.exists()
    review = Review.objects.get()
    assert review.due_at > timezone.now()
    assert review.attempts == 1


def test_the_store_is_this_tests_own(store: FilesystemStore, store_root: Path) -> None:
    assert store.root == store_root
