"""Faults of the catalogue that need no process of their own."""

from __future__ import annotations

import datetime as dt
import errno
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

from registry.errors import RegistryError
from registry.models import Blob, Review, Tombstone
from registry.services import blobs, manifests, tags
from registry.services.garbage import collection as garbage
from registry.services.garbage import judging
from registry.storage import filesystem, paths
from registry.storage.base import StorageFull, StorageUnavailable
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.base import APP, Person, content_of
from tests.registry.images import ALICE
from tests.registry.test_verify import reported, verify

pytestmark = [pytest.mark.faults, pytest.mark.django_db(databases=["registry"])]


def test_f14_what_can_not_be_judged_does_not_stop_the_others(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    poison, other = images.push_image(APP, "v1"), images.push_image(APP, "v2")
    tags.delete(APP, "v1", ALICE)
    tags.delete(APP, "v2", ALICE)
    clock.advance(days=8)
    real = judging.held

    def held(repositories: Any, found: Any) -> set[int]:
        if any(manifest.digest == poison.digest for manifest in found):
            raise ValueError("poison")
        return real(repositories, found)

    monkeypatch.setattr(judging, "held", held)
    run = garbage.review(10)
    assert (run.postponed, run.removed) == (1, 1)
    with pytest.raises(RegistryError):
        manifests.find(APP, other.digest)
    waits = []
    for _ in range(4):
        review = Review.objects.get(reason="tag deleted")
        waits.append(review.due_at - clock.now())
        clock.advance(seconds=waits[-1].total_seconds() + 1)
        garbage.review(100)
    assert Review.objects.get(reason="tag deleted").attempts == 5
    assert waits == sorted(waits)
    assert waits[-1] > waits[0] * 6


def test_f25_an_older_database_over_a_newer_store(clock: Any, store: FilesystemStore) -> None:
    """The rows of what was pushed since are gone: its bytes are named, and left alone at first."""
    image = images.push_image(APP, "latest")
    lost = store.root / "later"
    newer = images.content(300)
    lost.write_bytes(newer)
    digest = images.digests.of(newer)
    target = paths.blob(store.root, digest)
    target.parent.mkdir(parents=True, exist_ok=True)
    lost.rename(target)
    assert verify("--read-data")[0] == 0
    clock.advance(days=3)
    code, report = verify("--read-data")
    assert code == 1
    assert reported(report) == {("orphan file", digest)}
    garbage.review(1000)
    assert store.size(digest) == 300
    assert manifests.find(APP, "latest").payload == image.payload


def test_f26_an_older_store_under_a_newer_database(
    alice: Person, store: FilesystemStore, tmp_path: Path
) -> None:
    body = images.content(400)
    images.push_image(APP, "old")
    shutil.copytree(store.root, tmp_path / "snapshot")
    image = images.push_image(APP, "new", layers=[body])
    shutil.rmtree(store.root)
    (tmp_path / "snapshot").rename(store.root)
    assert alice.send("GET", f"/v2/{APP}/blobs/{image.layers[0]}").status_code == 404
    _, report = verify()
    assert {tag for fault in report["findings"] for tag in fault["needed_by"]} == {f"{APP}:new"}
    with pytest.raises(RegistryError):
        blobs.promise(APP, image.layers[0])
    images.push_blob(APP, body)
    answer = alice.send("GET", f"/v2/{APP}/blobs/{image.layers[0]}")
    assert content_of(answer) == body


@pytest.mark.parametrize("call", ["fsync", "link", "replace", "write", "chmod"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_f28_f31_an_error_at_each_call(
    call: str, number: int, store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer that says yes without durable bytes, whichever call of its kind fails."""
    failed = 0
    told: set[bool] = set()
    if call == "replace":  # Only where nothing is linked.
        monkeypatch.setattr(filesystem, "_link_where_free", lambda source, target: None)
    for which in range(1, 8):
        count = 0
        place: Any = Path if call in ("replace", "chmod") else os
        real = getattr(place, call)

        def failing(*arguments: Any, real: Any = real, which: int = which, **more: Any) -> Any:
            nonlocal count
            count += 1
            if count == which:
                raise OSError(number, os.strerror(number))
            return real(*arguments, **more)

        body = images.content(2000)
        monkeypatch.setattr(place, call, failing)
        try:
            images.push_blob(APP, body)
        except (StorageFull, StorageUnavailable) as error:
            failed += 1
            told.add(isinstance(error, StorageFull))
            assert not Blob.objects.filter(digest=images.digests.of(body)).exists()
        finally:
            monkeypatch.setattr(place, call, real)
        images.push_blob(APP, body)
        assert store.size(images.digests.of(body)) == 2000
    assert failed
    assert told == {number == errno.ENOSPC}
    assert verify("--read-data")[0] == 0


def test_f30_a_read_that_fails(
    alice: Person, store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bit that rotted: found by reading, moved away, healed by a push."""
    body = images.content(900)
    image = images.push_image(APP, "latest", layers=[body])
    path = paths.blob(store.root, image.layers[0])
    path.write_bytes(body[:-1] + bytes([body[-1] ^ 1]))
    code, report = verify("--read-data", "--repair")
    assert code == 1
    assert reported(report) == {("damaged", image.layers[0])}
    assert alice.send("GET", f"/v2/{APP}/blobs/{image.layers[0]}").status_code == 404
    images.push_blob(APP, body)
    assert verify("--read-data")[0] == 0


def test_f37_old_pieces_of_uploads_go_and_young_ones_stay(store: FilesystemStore) -> None:
    import uuid

    sessions = [uuid.uuid4() for _ in range(40)]
    for number, session in enumerate(sessions):
        store.write(session, [b"piece"])
        if number % 2:
            os.utime(paths.upload(store.root, session), (0, 0))
    before = dt.datetime.now(dt.UTC) - dt.timedelta(days=7)
    assert store.sweep(before, lambda session: False) == 20
    left = {path.name for path in paths.uploads(store.root).glob("*/*")}
    assert left == {str(session) for session in sessions[::2]}


def test_f41_the_end_of_32_bits(clock: Any, alice: Person, gitlab: Person) -> None:
    """Across 2038-01-19 03:14:07 UTC: pushes, tags, undo, windows, collection, receipts."""
    last = dt.datetime(2038, 1, 19, 3, 14, 7, tzinfo=dt.UTC)
    clock.now_is(last - dt.timedelta(seconds=1))
    before = images.push_image(APP, "before")
    gone = images.push_image(APP, "gone")
    clock.now_is(last + dt.timedelta(seconds=1))
    after = images.push_image(APP, "after")
    tags.delete(APP, "gone", ALICE)
    (deleted,) = gitlab.send("GET", "/gitlab/v1/berth/deleted-tags/acme/app/").json()
    assert deleted["deleted_at"].startswith("2038-01-19T03:14:08")
    for image in (before, after):
        answer = alice.send("GET", f"/v2/{APP}/manifests/{image.digest}")
        assert content_of(answer) == image.payload
    assert garbage.review(100).removed == 0
    clock.now_is(last + dt.timedelta(days=9))
    while garbage.review(100).removed:
        clock.now_is(clock.now() + dt.timedelta(days=2))
    receipts = gitlab.send("GET", "/gitlab/v1/garbage/receipts/").json()
    assert {receipt["digest"] for receipt in receipts} == {gone.digest, gone.config, *gone.layers}


@pytest.fixture
def unreachable(store: FilesystemStore, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """Digests in a folder that the store may not enter; root's tests may enter any."""
    found: set[str] = set()
    real = FilesystemStore.size

    def size(self: FilesystemStore, digest: str) -> int | None:
        if digest in found:
            raise StorageUnavailable("Permission denied")
        return real(self, digest)

    monkeypatch.setattr(FilesystemStore, "size", size)
    return found


def test_f38_what_can_not_be_reached_is_named_and_the_rest_is_verified(
    store: FilesystemStore, unreachable: set[str]
) -> None:
    image, other = images.push_image(APP, "v1"), images.push_image(APP, "v2")
    unreachable.add(image.layers[0])
    paths.blob(store.root, other.layers[0]).unlink()
    code, report = verify("--read-data", "--repair")
    assert code == 1
    assert reported(report) == {("unreachable", image.layers[0]), ("missing", other.layers[0])}
    (named,) = [fault for fault in report["findings"] if fault["kind"] == "unreachable"]
    assert named["needed_by"] == [f"{APP}:v1"]
    assert "right" in named["repair"]
    unreachable.clear()
    assert reported(verify()[1]) == {("missing", other.layers[0])}


def test_f38_what_can_not_be_reached_keeps_no_other_garbage(
    clock: Any, store: FilesystemStore, unreachable: set[str]
) -> None:
    behind, *others = [images.push_blob(APP, images.content()) for _ in range(5)]
    unreachable.add(behind)
    clock.advance(days=3)
    garbage.review(100)
    assert [digest for digest in others if store.size(digest) is not None] == []
    assert Tombstone.objects.get().digest == behind
    clock.advance(days=1)
    # Left by a run before, it stops none of the next ones.
    image = images.push_blob(APP, images.content())
    clock.advance(days=3)
    garbage.review(100)
    assert store.size(image) is None
    unreachable.clear()
    garbage.review(100)
    assert store.size(behind) is None
    assert not Tombstone.objects.exists()


def test_f38_a_store_that_is_away_is_no_finding(
    clock: Any, unreachable: set[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of a million blobs would be one."""
    unreachable.add(images.push_blob(APP, images.content()))

    def check(self: FilesystemStore) -> None:
        raise StorageUnavailable("Input/output error")

    monkeypatch.setattr(FilesystemStore, "check", check)
    with pytest.raises(StorageUnavailable):
        verify()
    clock.advance(days=3)
    with pytest.raises(StorageUnavailable):
        garbage.review(100)
    assert Tombstone.objects.exists()
