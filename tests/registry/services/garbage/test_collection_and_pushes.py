"""Pushes, mounts, renames and collectors that meet."""

from __future__ import annotations

import contextlib
import datetime as dt
import threading
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from registry.errors import Code, RegistryError
from registry.models import (
    Blob,
    Manifest,
    Receipt,
    Repository,
    RepositoryBlob,
    Tag,
)
from registry.services import blobs, manifests, repositories, tags, uploads
from registry.services.garbage import collection as garbage
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.images import ALICE
from tests.registry.services.garbage.collecting import (
    DAY,
    OTHER,
    assert_whole,
    collect,
    files,
    only_refusals,
)

pytestmark = [
    pytest.mark.django_db(databases=["registry"]),
    pytest.mark.usefixtures("short_delays"),
]


def test_a_head_is_a_promise(clock: Any, settings: Any, bob: Person, carol: Person) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = DAY
    digest = images.push_blob(APP, images.content())
    for person, kept in ((bob, True), (carol, False)):
        clock.advance(hours=23)
        assert person.send("HEAD", f"/v2/{APP}/blobs/{digest}").status_code == 200
        clock.advance(hours=2)
        garbage.review(1000)
        assert RepositoryBlob.objects.exists() == kept, person.subject


def test_a_promise_that_holds_is_not_written_again(clock: Any, settings: Any, bob: Person) -> None:
    """docker asks for each blob that it has just uploaded, and a write waits for the disk."""
    settings.REGISTRY_GC_REVIEW_DELAY = DAY
    digest = images.push_blob(APP, images.content())
    for hours, written in ((1, 0), (3, 1)):
        clock.advance(hours=hours)
        with CaptureQueriesContext(connections["registry"]) as queries:
            bob.send("HEAD", f"/v2/{APP}/blobs/{digest}")
        changes = [query for query in queries if query["sql"].startswith("UPDATE")]
        assert len(changes) == written


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

    with override_settings(REGISTRY_GC_REVIEW_DELAY=dt.timedelta(0), UNDO_WINDOW=dt.timedelta(0)):
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

        def commit(told: Any = session, rest: bytes = body[size // 2 :], d: str = digest) -> None:
            found = uploads.find(APP, images.as_told(told), ALICE)
            uploads.commit(found, d, [rest], None)

        results = at_once(*[commit] * 4)
        assert results == [None] * 4
        assert store.size(digest) == size


@concurrent
@pytest.mark.parametrize("is_open", [True, False])
def test_mounts_and_collectors_at_once(
    clock: Any, store: FilesystemStore, at_once: Callable[..., list[Any]], is_open: bool
) -> None:
    """A mount that says yes has bytes, into a repository that is there and into a new one."""
    for round_ in range(5):
        body = images.content()
        digest = images.push_blob(APP, body)
        clock.advance(days=1)
        target = f"acme/target-{round_}"
        if is_open:
            images.push_image(target)
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
