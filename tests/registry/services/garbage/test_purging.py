"""Closed repositories: their content goes in batches when the window is over."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from registry.models import (
    Manifest,
    Repository,
    RepositoryBlob,
    Review,
    Tag,
    UploadSession,
)
from registry.services import repositories, tags, undo, uploads
from registry.services.garbage import collection as garbage
from registry.services.garbage import purging
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.base import APP
from tests.registry.images import ALICE
from tests.registry.services.garbage.collecting import DAY, OTHER, assert_whole, collect, files

pytestmark = [
    pytest.mark.django_db(databases=["registry"]),
    pytest.mark.usefixtures("short_delays"),
]


def test_a_closed_repository_is_purged_in_batches(
    clock: Any, store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(purging, "PURGE_BATCH", 2)
    shared = images.content()
    kept = images.push_image(OTHER, "v1", layers=[shared])
    for number in range(5):
        image = images.push_image(APP, f"v{number}", layers=[shared, images.content()])
    images.push_artifact(APP, image, "a/signature")
    images.push_index(APP, "multi", [image.descriptor])
    tags.delete(APP, "v0", ALICE)
    uploads.append(uploads.start(APP, ALICE), [b"hello"], None)
    repositories.close(APP, ALICE)
    clock.advance(days=1)
    largest = 0
    for _ in range(120):
        before = Manifest.objects.count() + RepositoryBlob.objects.count()
        garbage.review(1)
        largest = max(largest, before - Manifest.objects.count() - RepositoryBlob.objects.count())
    assert largest <= 2
    assert not Repository.objects.filter(name=APP).exists()
    assert not UploadSession.objects.exclude(repository__name=OTHER).exists()
    assert not Review.objects.filter(due_at__lte=timezone.now()).exists()
    assert Tag.objects.count() == 1
    assert_whole(OTHER, kept, store)
    assert files(store) == {kept.config, *kept.layers}
    assert not [path for path in (store.root / "uploads").rglob("*") if path.is_file()]


def test_a_closed_repository_waits_for_the_undo_window(
    clock: Any, settings: Any, store: FilesystemStore
) -> None:
    settings.UNDO_WINDOW = 7 * DAY
    image = images.push_image(APP, "v1")
    repository_id = repositories.close(APP, ALICE)
    clock.advance(days=6)
    garbage.review(100)
    undo.restore_repository(APP, repository_id, ALICE)
    collect(clock, rounds=10)
    assert_whole(APP, image, store)


def test_what_dangled_when_a_repository_was_closed_goes_after_its_return(
    clock: Any, settings: Any, store: FilesystemStore
) -> None:
    """Reviews of a closed repository are dropped, so its return has to queue them again."""
    settings.UNDO_WINDOW = 7 * DAY
    image = images.push_image(APP, "v1")
    dangling = images.push_blob(APP, images.content())
    untagged = images.push_image(APP, None)
    repository_id = repositories.close(APP, ALICE)
    clock.advance(days=2)
    garbage.review(100)
    undo.restore_repository(APP, repository_id, ALICE)
    collect(clock, rounds=12)
    assert_whole(APP, image, store)
    assert not Manifest.objects.filter(digest=untagged.digest).exists()
    assert dangling not in files(store)


def test_the_next_repository_of_the_name_is_left_alone(clock: Any, store: FilesystemStore) -> None:
    body = images.content()
    images.push_image(APP, "v1", layers=[body])
    repositories.close(APP, ALICE)
    image = images.push_image(APP, "v1", layers=[body])
    collect(clock)
    assert_whole(APP, image, store)
    assert Repository.objects.count() == 1
