"""The collector: what it keeps, what it removes, and what a crash or a race leaves."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from django.db import IntegrityError, connections
from django.utils import timezone

from registry.errors import Code, RegistryError
from registry.models import (
    Blob,
    Event,
    Manifest,
    Receipt,
    Repository,
    RepositoryBlob,
    Review,
    Tag,
    Tombstone,
    UploadSession,
)
from registry.services import (
    blobs,
    garbage,
    manifests,
    purging,
    repositories,
    reviews,
    tags,
    undo,
    unlinking,
    uploads,
)
from registry.services.batches import Batch
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.base import APP, Person, content_of
from tests.registry.images import ALICE

OTHER = "acme/other"
DAY = dt.timedelta(days=1)


@pytest.fixture
def _short(settings: Any) -> None:
    """An hour of grace and of undo, so that a day is enough for anything."""
    settings.REGISTRY_GC_REVIEW_DELAY = settings.REGISTRY_UNDO_WINDOW = dt.timedelta(hours=1)


pytestmark = [
    pytest.mark.django_db(databases=["registry"]),
    pytest.mark.usefixtures("_short"),
]


def collect(clock: Any, rounds: int = 6) -> int:
    """Let a day pass and review everything, several times. Answers how many rows went."""
    removed = 0
    for _ in range(rounds):
        clock.advance(days=1)
        removed += garbage.review(1000).removed
    return removed


def files(store: FilesystemStore) -> set[str]:
    """The digests in the store."""
    return {blob.digest for blob in store.blobs()}


def assert_whole(name: str, image: images.Image, store: FilesystemStore) -> None:
    """The image can be pulled: manifest, rows and bytes are there."""
    assert manifests.find(name, image.digest).payload == image.payload
    for digest in {image.config, *image.layers} - {""}:
        assert blobs.find(name, digest).size == store.size(digest)


# What is kept


def test_what_a_tag_holds_is_kept(clock: Any, store: FilesystemStore) -> None:
    image = images.push_image(APP, "v1")
    assert collect(clock) == 0
    assert_whole(APP, image, store)
    assert not Review.objects.exists()


def test_a_layer_that_another_image_shares_is_kept(clock: Any, store: FilesystemStore) -> None:
    shared, alone = images.content(), images.content()
    image = images.push_image(APP, "v1", layers=[shared])
    gone = images.push_image(APP, "v2", layers=[shared, alone])
    tags.delete(APP, "v2", ALICE)
    collect(clock)
    assert_whole(APP, image, store)
    assert not Manifest.objects.filter(digest=gone.digest).exists()
    assert gone.layers[1] not in files(store)
    assert gone.layers[0] in files(store)


def test_a_layer_that_another_repository_has_keeps_its_bytes(
    clock: Any, store: FilesystemStore
) -> None:
    body = images.content()
    gone = images.push_image(APP, "v1", layers=[body])
    image = images.push_image(OTHER, "v1", layers=[body])
    tags.delete(APP, "v1", ALICE)
    collect(clock)
    assert_whole(OTHER, image, store)
    with pytest.raises(RegistryError):
        blobs.find(APP, gone.layers[0])


def test_the_children_of_an_index_are_kept(clock: Any, store: FilesystemStore) -> None:
    child = images.push_image(APP, None)
    inner = images.push_index(APP, None, [child.descriptor])
    images.push_index(APP, "multi", [inner.descriptor])
    collect(clock)
    assert_whole(APP, child, store)
    assert_whole(APP, inner, store)
    tags.delete(APP, "multi", ALICE)
    collect(clock, rounds=12)
    assert not Manifest.objects.exists()
    assert not files(store)


def test_a_child_with_a_tag_of_its_own_outlives_its_index(
    clock: Any, store: FilesystemStore
) -> None:
    child = images.push_image(APP, "v1")
    images.push_index(APP, "multi", [child.descriptor])
    tags.delete(APP, "multi", ALICE)
    collect(clock)
    assert_whole(APP, child, store)
    assert Manifest.objects.count() == 1


def test_an_index_with_missing_children_is_collected(clock: Any) -> None:
    missing = {"mediaType": images.LAYER, "digest": f"sha256:{'1' * 64}", "size": 1}
    images.push_index(APP, "multi", [missing])
    tags.delete(APP, "multi", ALICE)
    collect(clock)
    assert not Manifest.objects.exists()


def test_a_child_that_comes_later_than_its_index_is_kept(
    clock: Any, store: FilesystemStore
) -> None:
    config, layer = images.content(20), images.content()
    value = images.document(config, [layer])
    payload = images.encoded(value)
    listed = {
        "mediaType": value["mediaType"],
        "digest": images.digests.of(payload),
        "size": len(payload),
    }
    images.push_index(APP, "multi", [listed])
    for body in (config, layer):
        images.push_blob(APP, body)
    child = images.push_manifest(APP, None, value)
    collect(clock)
    assert_whole(APP, child, store)


def test_referrers_of_a_live_subject_are_kept(clock: Any, store: FilesystemStore) -> None:
    image = images.push_image(APP, "v1")
    signature = images.push_artifact(APP, image, "a/signature")
    of_signature = images.push_artifact(APP, signature, "a/timestamp")
    collect(clock)
    assert_whole(APP, signature, store)
    assert_whole(APP, of_signature, store)
    tags.delete(APP, "v1", ALICE)
    collect(clock, rounds=12)
    assert not Manifest.objects.exists()
    assert not files(store)


def test_a_referrer_without_its_subject_goes_unless_it_has_a_tag(clock: Any) -> None:
    absent = images.Image(f"sha256:{'1' * 64}", b"x", "a/b", "", ())
    images.push_artifact(APP, absent, "a/signature")
    tagged = images.push_artifact(APP, absent, "a/signature", tag="sig")
    collect(clock)
    assert list(Manifest.objects.values_list("digest", flat=True)) == [tagged.digest]


def test_cosigns_tags_go_with_the_image(clock: Any, store: FilesystemStore) -> None:
    """A signature's tag holds it, and is ended once the image that it names has gone."""
    image = images.push_image(APP, "v1")
    named = image.digest.replace(":", "-")
    for kind in ("sig", "att", "sbom"):
        images.push_image(APP, f"{named}.{kind}")
    kept = ["latest", f"{named}.other", f"sha256-{'0' * 64}.sig"]
    for name in kept:
        images.push_image(APP, name)
    everything = {*kept, "v1", f"{named}.sig", f"{named}.att", f"{named}.sbom"}
    collect(clock)
    assert set(tags.page(APP, "", 100)) == everything
    tags.delete(APP, "v1", ALICE)
    collect(clock)
    assert set(tags.page(APP, "", 100)) == set(kept)
    assert Manifest.objects.count() == len(kept)
    assert Review.objects.count() == 0
    ended = Event.objects.filter(action=Event.Action.DELETE, actor="")
    assert {event.tag for event in ended} == everything - {*kept, "v1"}


def test_a_subject_does_not_live_by_its_referrers(clock: Any) -> None:
    image = images.push_image(APP, None)
    images.push_artifact(APP, image, "a/signature", tag="sig")
    collect(clock)
    assert not Manifest.objects.filter(digest=image.digest).exists()


def test_untagged_ones_are_kept_where_that_is_wished(clock: Any, store: FilesystemStore) -> None:
    image = images.push_image(APP, "v1")
    untagged = images.push_image(APP, None)
    repositories.set_collect_untagged(APP, False)
    tags.delete(APP, "v1", ALICE)
    collect(clock)
    assert_whole(APP, image, store)
    assert_whole(APP, untagged, store)
    repositories.set_collect_untagged(APP, True)
    collect(clock)
    assert not Manifest.objects.exists()
    assert not files(store)


def test_what_was_deleted_goes_also_where_untagged_ones_are_kept(clock: Any) -> None:
    image = images.push_image(APP, "v1")
    repositories.set_collect_untagged(APP, False)
    manifests.delete(APP, image.digest, ALICE)
    collect(clock)
    assert not Manifest.objects.exists()


def test_a_pushed_foreign_layer_is_kept(clock: Any, store: FilesystemStore) -> None:
    """docker pushes them where a daemon is told to; then they are part of the image."""
    config, foreign = images.content(20), images.content()
    for body in (config, foreign):
        images.push_blob(APP, body)
    value = images.document(config, [])
    value["layers"] = [
        images.descriptor(foreign, "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip")
    ]
    image = images.push_manifest(APP, "v1", value)
    collect(clock)
    assert_whole(APP, image, store)


def test_a_pushed_foreign_layer_may_not_be_deleted(alice: Person) -> None:
    config, foreign = images.content(20), images.content()
    for body in (config, foreign):
        images.push_blob(APP, body)
    value = images.document(config, [])
    value["layers"] = [images.descriptor(foreign, images.LAYER) | {"urls": ["http://x/"]}]
    image = images.push_manifest(APP, "v1", value)
    response = alice.send("DELETE", f"/v2/{APP}/blobs/{image.layers[0]}")
    assert response.status_code == 405


# When it goes


def test_a_moved_tag_releases_its_manifest_after_the_window(clock: Any, settings: Any) -> None:
    settings.REGISTRY_UNDO_WINDOW = 7 * DAY
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
    settings.REGISTRY_UNDO_WINDOW = 7 * DAY
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
    settings.REGISTRY_UNDO_WINDOW = 7 * DAY
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


# A push that meets the collector


def test_a_head_is_a_promise(clock: Any, settings: Any, bob: Person, carol: Person) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = DAY
    digest = images.push_blob(APP, images.content())
    for person, kept in ((bob, True), (carol, False)):
        clock.advance(hours=23)
        assert person.send("HEAD", f"/v2/{APP}/blobs/{digest}").status_code == 200
        clock.advance(hours=2)
        garbage.review(1000)
        assert RepositoryBlob.objects.exists() == kept, person.subject


def test_a_head_promises_what_a_manifest_still_holds(
    clock: Any, settings: Any, bob: Person
) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = DAY
    image = images.push_image(APP, "v1")
    tags.delete(APP, "v1", ALICE)
    clock.advance(days=2)
    assert bob.send("HEAD", f"/v2/{APP}/blobs/{image.layers[0]}").status_code == 200
    garbage.review(1000)
    assert not Manifest.objects.exists()
    clock.advance(hours=23)
    garbage.review(1000)
    assert blobs.find(APP, image.layers[0])


@pytest.mark.parametrize("how", ["upload", "mount", "manifest"])
def test_what_is_used_again_is_kept(
    clock: Any, store: FilesystemStore, settings: Any, how: str
) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = DAY
    config, layer = images.content(20), images.content()
    for body in (config, layer):
        images.push_blob(APP, body)
    clock.advance(hours=25)
    if how == "upload":
        images.push_blob(APP, config)
        images.push_blob(APP, layer)
    elif how == "mount":
        for body in (config, layer):
            images.push_blob(OTHER, body)
            assert blobs.mount(APP, images.digests.of(body), OTHER, ALICE)
    else:
        images.push_manifest(APP, "v1", images.document(config, [layer]))
    assert garbage.review(1000).removed == 0
    clock.advance(hours=20)
    garbage.review(1000)
    image = images.push_manifest(APP, "v2", images.document(config, [layer]))
    collect(clock)
    assert_whole(APP, image, store)


def test_a_manifest_whose_blob_went_is_refused(clock: Any) -> None:
    config = images.content()
    images.push_blob(APP, config)
    collect(clock, rounds=1)
    with pytest.raises(RegistryError) as refused:
        images.push_manifest(APP, "v1", images.document(config, []))
    assert refused.value.code is Code.MANIFEST_BLOB_UNKNOWN
    images.push_blob(APP, config)
    images.push_manifest(APP, "v1", images.document(config, []))


def test_a_deleted_manifest_that_is_pushed_again_is_kept(
    clock: Any, store: FilesystemStore
) -> None:
    image = images.push_image(APP, "v1")
    manifests.delete(APP, image.digest, ALICE)
    images.push_manifest(APP, "v2", images.json.loads(image.payload))
    collect(clock)
    assert_whole(APP, image, store)


# Tombstones: rows first, then bytes


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


# Closed repositories


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
    settings.REGISTRY_UNDO_WINDOW = 7 * DAY
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
    settings.REGISTRY_UNDO_WINDOW = 7 * DAY
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


# Refused by the database, whatever a service gets wrong


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


# Several at once


@pytest.fixture
def at_once() -> Callable[..., list[Any]]:
    """Run functions in threads, each with connections of its own; their results or exceptions."""

    def run(*functions: Callable[[], Any]) -> list[Any]:
        results: list[Any] = [None] * len(functions)

        def work(number: int, function: Callable[[], Any]) -> None:
            try:
                results[number] = function()
            except BaseException as error:
                results[number] = error
            finally:
                connections["registry"].close()

        threads = [
            threading.Thread(target=work, args=(number, function), daemon=True)
            for number, function in enumerate(functions)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not any(thread.is_alive() for thread in threads), "they wait for each other"
        return results

    return run


def only_refusals(results: list[Any]) -> None:
    """No deadlock, no lost row: at most refusals in the protocol's words."""
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, RegistryError):
            raise result


concurrent = pytest.mark.django_db(databases=["default", "registry"], transaction=True)


@concurrent
def test_two_collectors_at_once(
    clock: Any, store: FilesystemStore, at_once: Callable[..., list[Any]]
) -> None:
    shared = images.content()
    for number in range(12):
        images.push_image(f"acme/{number % 3}", f"v{number}", layers=[shared, images.content()])
        tags.delete(f"acme/{number % 3}", f"v{number}", ALICE)
    repositories.close("acme/0", ALICE)
    removed = 0
    for _ in range(8):
        clock.advance(days=1)
        runs = at_once(*[lambda: garbage.review(100)] * 3)
        only_refusals(runs)
        removed += sum(run.removed for run in runs)
    assert not files(store)
    assert not Blob.objects.exists()
    assert not Manifest.objects.exists()
    # 12 manifests, 12 configs, 12 layers of their own and one that all share: each once.
    assert Receipt.objects.count() == removed == 37


@concurrent
def test_pushes_and_collectors_at_once(
    clock: Any, store: FilesystemStore, at_once: Callable[..., list[Any]]
) -> None:
    """The same layers are pushed, tagged, untagged and collected: no push is ever broken."""
    layers = [images.content() for _ in range(3)]
    configs = [images.content(20) for _ in range(3)]
    stop = threading.Event()

    def push(name: str, number: int) -> list[tuple[str, str, images.Image]]:
        pushed = []
        for round_ in range(12):
            config = configs[(number + round_) % 3]
            # A blob that was collected between its push and the manifest's is pushed again.
            with contextlib.suppress(RegistryError):
                image = images.push_image(name, f"t{number}", layers=layers, config=config)
                pushed.append((name, f"t{number}", image))
            if round_ % 3 == 1 and pushed:
                tags.delete(name, f"t{number}", ALICE)
                pushed.clear()
            if round_ % 5 == 4 and pushed:
                repositories.close(name, ALICE)
                pushed.clear()
        stop.set()
        return pushed[-1:]

    def collect_until_stopped() -> int:
        removed = 0
        while not stop.is_set():
            removed += garbage.review(20).removed
        return removed

    # No grace at all, so that every review is due at once.
    from django.test import override_settings

    with override_settings(
        REGISTRY_GC_REVIEW_DELAY=dt.timedelta(0), REGISTRY_UNDO_WINDOW=dt.timedelta(0)
    ):
        results = at_once(
            lambda: push("acme/a", 0),
            lambda: push("acme/b", 1),
            lambda: push("acme/c", 2),
            collect_until_stopped,
            collect_until_stopped,
        )
        only_refusals(results)
        collect(clock)
    for pushed in results[:3]:
        for name, tag, image in pushed:
            assert manifests.find(name, tag).digest == image.digest
            assert_whole(name, image, store)
    # Nothing in the store that no row knows, and no row without its bytes.
    assert files(store) == set(Blob.objects.values_list("digest", flat=True))


@concurrent
def test_the_same_tag_from_several_sides_at_once(at_once: Callable[..., list[Any]]) -> None:
    pushed = [images.push_image(APP, None) for _ in range(6)]
    values = [images.json.loads(image.payload) for image in pushed]
    results = at_once(
        *[lambda value=value: images.push_manifest(APP, "latest", value) for value in values]
    )
    only_refusals(results)
    current = Tag.objects.filter(name="latest", ended_at=None).get()
    assert current.digest in {image.digest for image in pushed}
    assert Tag.objects.filter(name="latest").count() == 6


@concurrent
def test_first_pushes_at_once_open_one_repository(at_once: Callable[..., list[Any]]) -> None:
    results = at_once(*[lambda: images.push_image("acme/new", "v1")] * 6)
    only_refusals(results)
    assert not any(isinstance(result, BaseException) for result in results)
    assert Repository.objects.count() == 1


@concurrent
def test_deletions_and_pushes_at_once(at_once: Callable[..., list[Any]]) -> None:
    image = images.push_image(APP, "v1")
    value = images.json.loads(image.payload)
    for _ in range(4):
        results = at_once(
            lambda: manifests.delete(APP, image.digest, ALICE),
            lambda: images.push_manifest(APP, "v1", value),
            lambda: tags.delete(APP, "v1", ALICE),
            lambda: images.push_index(APP, "multi", [image.descriptor]),
            lambda: blobs.delete(APP, image.layers[0], ALICE),
            lambda: images.push_manifest(APP, "v2", value),
        )
        only_refusals(results)
    for tag in Tag.objects.filter(ended_at=None).select_related("manifest"):
        assert tag.manifest is not None
        assert tag.manifest.deleted_at is None


@concurrent
def test_one_blob_deleted_twice_at_once(at_once: Callable[..., list[Any]]) -> None:
    for _ in range(5):
        digest = images.push_blob(APP, images.content())
        results = at_once(*[lambda digest=digest: blobs.delete(APP, digest, ALICE)] * 4)
        only_refusals(results)
        assert sum(result is None for result in results) == 1


@concurrent
def test_one_upload_committed_twice_at_once(
    at_once: Callable[..., list[Any]], store: FilesystemStore
) -> None:
    for size in (1, 500_000):
        body = images.content(size)
        digest = images.digests.of(body)
        session = uploads.start(APP, ALICE)
        uploads.append(session, [body[: size // 2]], None)

        def commit(pk: Any = session.pk, rest: bytes = body[size // 2 :], d: str = digest) -> None:
            uploads.commit(uploads.find(APP, pk, ALICE), d, [rest], None)

        results = at_once(*[commit] * 4)
        assert results == [None] * 4
        assert store.size(digest) == size


@concurrent
def test_mounts_and_collectors_at_once(
    clock: Any, store: FilesystemStore, at_once: Callable[..., list[Any]]
) -> None:
    """A mount that says yes has bytes."""
    for round_ in range(5):
        body = images.content()
        digest = images.push_blob(APP, body)
        clock.advance(days=1)
        target = f"acme/target-{round_}"
        mounted, other, _ = at_once(
            lambda digest=digest, target=target: blobs.mount(target, digest, APP, ALICE),
            lambda: garbage.review(10),
            lambda: garbage.review(10),
        )
        only_refusals([mounted, other])
        if mounted:
            assert store.size(digest) == 100
            assert blobs.find(target, digest)
        else:
            assert store.size(digest) is None


@concurrent
def test_renames_and_pushes_at_once(at_once: Callable[..., list[Any]]) -> None:
    from registry.services import renaming

    for round_ in range(4):
        images.push_image(f"old{round_}/app", "v1")
        results = at_once(
            lambda r=round_: renaming.rename(f"old{r}", f"new{r}", ALICE),
            lambda r=round_: images.push_image(f"new{r}/app", "v2"),
            lambda r=round_: images.push_image(f"old{r}/app", "v2"),
            lambda r=round_: repositories.close(f"old{r}/app", ALICE),
        )
        only_refusals(results)


@concurrent
@pytest.mark.postgresql
def test_a_reader_of_events_misses_none(at_once: Callable[..., list[Any]]) -> None:
    """A transaction that began earlier may commit later: its event must not be skipped."""
    from registry.models import Event
    from registry.services import database, events

    written, read = threading.Event(), threading.Event()

    def slow() -> None:
        with database.atomic():
            events.record(Event.Action.PUSH, "acme/slow", ALICE)
            written.set()
            read.wait(20)

    def quick_and_reader() -> list[str]:
        written.wait(20)
        with database.atomic():
            events.record(Event.Action.PUSH, "acme/quick", ALICE)
        seen: list[str] = []
        cursor = 0
        # Transactions of the tests beside this one, on the same server, hold events back as well.
        for number in range(400):
            found = events.after(cursor, 10)
            seen += [event.repository for event in found]
            cursor = found[-1].pk if found else cursor
            if number == 0:
                read.set()
                slow_thread_done.wait(20)
            elif len(seen) >= 2:
                break
            threading.Event().wait(0.05)
        return seen

    slow_thread_done = threading.Event()

    def slow_and_tell() -> None:
        slow()
        slow_thread_done.set()

    _, seen = at_once(slow_and_tell, quick_and_reader)
    only_refusals([seen])
    assert sorted(seen) == ["acme/quick", "acme/slow"]


def test_the_store_is_this_tests_own(store: FilesystemStore, store_root: Path) -> None:
    assert store.root == store_root
