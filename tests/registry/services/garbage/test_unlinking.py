"""Rows go first, then bytes: what a crash, a failing store or a push in between leaves."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from registry.models import (
    Blob,
    Tombstone,
)
from registry.services import blobs
from registry.services.garbage import collection as garbage
from registry.services.garbage import unlinking
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.base import APP, Person, content_of
from tests.registry.images import ALICE
from tests.registry.services.garbage.collecting import OTHER, files

pytestmark = [
    pytest.mark.django_db(databases=["registry"]),
    pytest.mark.usefixtures("short_delays"),
]


def crash_before_unlink(monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends after the rows are gone and before the bytes are."""

    def crash(digests: Iterable[str]) -> int:
        if list(digests):  # None of them was left by a crash before.
            raise SystemExit
        return 0

    monkeypatch.setattr(unlinking, "unlink", crash)


def test_a_crash_before_the_unlinking_is_made_good(
    clock: Any, store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = images.push_blob(APP, images.content())
    clock.advance(days=1)
    with monkeypatch.context() as patch:
        crash_before_unlink(patch)
        with pytest.raises(SystemExit):
            garbage.review(10)
    assert digest in files(store)
    assert not Blob.objects.exists()
    assert Tombstone.objects.get().digest == digest
    clock.advance(days=1)
    run = garbage.review(10)
    assert run.bytes == 100
    assert digest not in files(store)
    assert not Tombstone.objects.exists()


@pytest.mark.parametrize("how", ["upload", "elsewhere"])
def test_a_commit_between_the_rows_and_the_unlinking_wins(
    clock: Any, store: FilesystemStore, monkeypatch: pytest.MonkeyPatch, bob: Person, how: str
) -> None:
    body = images.content()
    digest = images.push_blob(APP, body)
    clock.advance(days=1)
    unlink = unlinking.unlink
    name = APP if how == "upload" else OTHER

    def meanwhile(digests: Iterable[str]) -> int:
        if not list(digests):
            return 0  # No tombstone was left by a crash.
        assert list(digests) == [digest]
        assert bob.send("HEAD", f"/v2/{APP}/blobs/{digest}").status_code == 404
        assert not blobs.mount(OTHER, digest, APP, ALICE)
        images.push_blob(name, body)
        return unlink(digests)

    monkeypatch.setattr(unlinking, "unlink", meanwhile)
    run = garbage.review(10)
    assert run.bytes == 0
    assert content_of(bob.send("GET", f"/v2/{name}/blobs/{digest}")) == body
    monkeypatch.undo()
    assert digest in files(store)
    assert not Tombstone.objects.exists()


def test_a_store_that_fails_while_unlinking_keeps_the_tombstone(
    clock: Any, store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = images.push_blob(APP, images.content())
    clock.advance(days=1)
    with monkeypatch.context() as patch:

        def fail(digest: str) -> bool:
            raise OSError("EIO")

        patch.setattr(store, "delete", fail)
        with pytest.raises(OSError, match="EIO"):
            garbage.review(10)
    assert Tombstone.objects.exists()
    clock.advance(days=1)
    garbage.review(10)
    assert digest not in files(store)


def test_bytes_that_are_gone_already_are_no_error(clock: Any, store: FilesystemStore) -> None:
    digest = images.push_blob(APP, images.content())
    store.delete(digest)
    clock.advance(days=1)
    assert garbage.review(10).removed == 1
    assert not Tombstone.objects.exists()
