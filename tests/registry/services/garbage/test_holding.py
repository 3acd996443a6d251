"""What holds content has one answer, whoever asks: the collector, its forecast, its reasons, ..."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from registry.errors import Code, RegistryError
from registry.models import Blob, Manifest, Repository, RepositoryBlob, Tag
from registry.services import (
    blobs,
    manifests,
    repositories,
    repository_details,
    statistics,
    tags,
    undo,
)
from registry.services.garbage import collection as garbage
from registry.services.garbage import forecast, freed, holders, holding
from registry.services.verification.comparison import Verifier
from registry.storage.filesystem import FilesystemStore
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.images import ALICE
from tests.registry.random_states import NAMES, SEEDS, TAGS, RandomRegistry
from tests.registry.services.garbage.collecting import OTHER, collect, files

pytestmark = [
    pytest.mark.django_db(databases=["registry"]),
    pytest.mark.usefixtures("short_delays"),
]
CACHE_CONFIG = "application/vnd.buildkit.cacheconfig.v0"


def listed(*bodies: bytes) -> list[dict[str, Any]]:
    """Descriptors of blobs, as BuildKit's older caches have them in an index."""
    return [images.descriptor(body, images.LAYER) for body in bodies]


def is_here(name: str, digest: str) -> bool:
    """Whether a client gets a blob."""
    try:
        return blobs.find(name, digest).digest == digest
    except RegistryError:
        return False


# FL-01: an index may list anything


def test_blobs_that_only_an_index_lists_are_held(clock: Any, store: FilesystemStore) -> None:
    first, config = images.content(), images.content()
    for body in (first, config):
        images.push_blob(APP, body)
    entries = [*listed(first), images.descriptor(config, CACHE_CONFIG)]
    index = images.push_index(APP, "buildcache", entries)
    collect(clock)
    assert all(is_here(APP, entry["digest"]) for entry in entries)
    assert statistics.of(APP).size == len(first) + len(config)
    assert repository_details.held_bytes(APP, descendants=False) == len(first) + len(config)
    assert Tag.objects.get(name="buildcache").size == len(first) + len(config)
    assert freed.by_tags(Repository.objects.get(name=APP).pk, ["buildcache"]).alone == 200
    (holder,) = holders.why(entries[0]["digest"]).holders
    assert [step["kind"] for step in holder.chain] == ["manifest", "tag"]
    tags.delete(APP, "buildcache", ALICE)
    collect(clock)
    assert not files(store)
    assert holders.why(index.digest).state == "removed"


def test_blobs_that_arrive_after_the_index_are_held(clock: Any, store: FilesystemStore) -> None:
    body = images.content()
    inner = images.push_index(APP, None, listed(body))
    images.push_index(APP, "cache", [inner.descriptor])
    images.push_blob(APP, body)
    collect(clock)
    assert is_here(APP, listed(body)[0]["digest"])
    tags.delete(APP, "cache", ALICE)
    collect(clock, rounds=12)
    assert not files(store)


def test_a_foreign_layer_that_arrives_after_its_image_is_held(clock: Any) -> None:
    body, config = images.content(), images.content(20)
    images.push_blob(APP, config)
    value = images.document(config, [])
    value["layers"] = [{**listed(body)[0], "urls": ["https://elsewhere.example/"]}]
    images.push_manifest(APP, "v1", value)
    digest = images.push_blob(APP, body)
    collect(clock)
    assert is_here(APP, digest)


def test_what_another_repository_lists_holds_nothing_here(
    clock: Any, store: FilesystemStore
) -> None:
    body = images.content()
    digest = images.push_blob(APP, body)
    images.push_index(OTHER, "cache", listed(body))
    collect(clock)
    assert not is_here(APP, digest)
    assert not files(store)


# FL-08: what a live manifest needs is not deleted on request, and all else is


def test_a_blob_is_refused_to_be_deleted_with_the_name_of_its_holder(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    response = alice.send("DELETE", f"/v2/{APP}/blobs/{image.layers[0]}")
    error = assert_refused(response, Code.DENIED, 405)
    assert error["detail"] == {"digest": image.layers[0], "holder": image.digest}
    assert image.digest in error["message"]
    assert "v1" in error["message"]


def test_a_manifest_is_refused_with_the_name_of_its_index(alice: Person) -> None:
    child = images.push_image(APP, None)
    inner = images.push_index(APP, None, [child.descriptor])
    images.push_index(APP, "multi", [inner.descriptor])
    response = alice.send("DELETE", f"/v2/{APP}/manifests/{child.digest}")
    error = assert_refused(response, Code.DENIED, 405)
    assert error["detail"]["holder"] == inner.digest
    assert "multi" in error["message"]


def test_what_the_index_of_a_live_subject_lists_is_refused(alice: Person) -> None:
    image, child = images.push_image(APP, "v1"), images.push_image(APP, None)
    referrer = images.push_index(APP, None, [child.descriptor], subject=image.descriptor)
    path = f"/v2/{APP}/manifests/{child.digest}"
    error = assert_refused(alice.send("DELETE", path), Code.DENIED, 405)
    assert error["detail"]["holder"] == referrer.digest
    tags.delete(APP, "v1", ALICE)
    assert alice.send("DELETE", path).status_code == 202


def test_an_index_without_a_tag_protects_nothing(alice: Person) -> None:
    old, new = images.push_image(APP, None), images.push_image(APP, None)
    images.push_index(APP, "latest", [old.descriptor])
    images.push_index(APP, "latest", [new.descriptor])
    base = f"/v2/{APP}"
    assert_refused(alice.send("DELETE", f"{base}/manifests/{new.digest}"), Code.DENIED, 405)
    assert_refused(alice.send("DELETE", f"{base}/blobs/{new.layers[0]}"), Code.DENIED, 405)
    assert alice.send("DELETE", f"{base}/blobs/{old.layers[0]}").status_code == 202
    assert alice.send("DELETE", f"{base}/manifests/{old.digest}").status_code == 202
    assert alice.send("GET", f"{base}/blobs/{old.layers[0]}").status_code == 404
    assert alice.send("HEAD", f"{base}/blobs/{old.layers[0]}").status_code == 404
    assert alice.send("DELETE", f"{base}/blobs/{old.layers[0]}").status_code == 404


def test_a_deleted_blob_is_kept_aside_until_undo_is_over(
    clock: Any, alice: Person, store: FilesystemStore
) -> None:
    image = images.push_image(APP, "v1")
    interval = Tag.objects.get(name="v1").pk
    tags.delete(APP, "v1", ALICE)
    for digest in (image.config, *image.layers):
        assert alice.send("DELETE", f"/v2/{APP}/blobs/{digest}").status_code == 202
        assert not is_here(APP, digest)
    assert forecast.forecast(100).removed == 0
    clock.advance(minutes=30)
    garbage.review(100)
    undo.restore_tags(APP, [interval], ALICE)
    assert alice.send("GET", f"/v2/{APP}/blobs/{image.layers[0]}").status_code == 200
    collect(clock)
    assert files(store) == {image.config, *image.layers}
    tags.delete(APP, "v1", ALICE)
    collect(clock)
    assert not files(store)


def test_a_deleted_blob_comes_back_with_a_push_of_it(alice: Person, clock: Any) -> None:
    body = images.content()
    image = images.push_image(APP, "v1", layers=[body])
    tags.delete(APP, "v1", ALICE)
    blobs.delete(APP, image.layers[0], ALICE)
    with pytest.raises(RegistryError) as refused:
        images.push_manifest(APP, "v1", json.loads(image.payload))
    assert refused.value.code is Code.MANIFEST_BLOB_UNKNOWN
    assert not blobs.mount(OTHER, image.layers[0], APP, ALICE)
    images.push_blob(APP, body)
    images.push_manifest(APP, "v1", json.loads(image.payload))
    collect(clock)
    assert is_here(APP, image.layers[0])


def test_a_deleted_blob_that_nothing_names_goes_at_once(alice: Person) -> None:
    digest = images.push_blob(APP, images.content())
    assert alice.send("DELETE", f"/v2/{APP}/blobs/{digest}").status_code == 202
    assert not RepositoryBlob.objects.exists()


def test_undo_brings_back_what_an_index_has_lost_since(alice: Person) -> None:
    before, child = images.push_image(APP, None), images.push_image(APP, None)
    inner = images.push_index(APP, None, [child.descriptor])
    index = images.push_index(APP, "multi", [inner.descriptor, before.descriptor])
    interval = Tag.objects.get(name="multi").pk
    Manifest.objects.filter(digest=before.digest).update(
        deleted_at=Tag.objects.get(pk=interval).started_at - dt.timedelta(seconds=1)
    )
    tags.delete(APP, "multi", ALICE)
    for gone in (child, inner, index):
        manifests.delete(APP, gone.digest, ALICE)
    undo.restore_tags(APP, [interval], ALICE)
    for back in (child, inner, index):
        assert manifests.find(APP, back.digest).payload == back.payload
    with pytest.raises(RegistryError):
        manifests.find(APP, before.digest)


def test_a_walk_upwards_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "MOST", 5)
    child = images.push_image(APP, None)
    for number in range(8):
        images.push_index(APP, None, [child.descriptor], annotations={"n": str(number)})
    repository_id = repositories.get_id(APP)
    with CaptureQueriesContext(connections["registry"]) as queries:
        found = holding.live_index_of(repository_id, child.digest)
    assert found is not None
    assert "more than 5 others" in str(found)
    assert len(queries) <= 3


# The same answer, whoever asks


def named_by_tags(name: str) -> Iterator[str]:
    """What live manifests name, read from their bytes and from nothing else."""
    rows = {
        digest: json.loads(bytes(payload))
        for digest, payload in Manifest.objects.filter(
            repository__name=name, repository__closed_at=None, deleted_at=None
        ).values_list("digest", "payload")
    }
    tagged = Tag.objects.filter(repository__name=name, repository__closed_at=None, ended_at=None)
    # A tag of cosign's ends with the image that it names, and so is only as good as that.
    signatures = dict(tagged.filter(name__endswith=".sig").values_list("name", "digest"))
    left = list(tagged.exclude(name__in=signatures).values_list("digest", flat=True))
    seen: set[str] = set()
    while left:
        digest = left.pop()
        if digest in seen:
            continue
        seen.add(digest)
        if signature := signatures.get(f"{digest.replace(':', '-')}.sig"):
            left.append(signature)
        document = rows.get(digest, {})
        entries = [*document.get("layers", ()), *document.get("manifests", ())]
        entries += [document["config"]] if "config" in document else []
        left += [entry["digest"] for entry in entries]
        left += [
            d for d, other in rows.items() if (other.get("subject") or {}).get("digest") == digest
        ]
    yield from seen


def served(name: str) -> set[str]:
    """The digests that clients get."""
    found = {
        digest for digest in Blob.objects.values_list("digest", flat=True) if is_here(name, digest)
    }
    manifests_here = Manifest.objects.filter(
        repository__name=name, repository__closed_at=None, deleted_at=None
    )
    return found | set(manifests_here.values_list("digest", flat=True))


def settle(clock: Any) -> None:
    """Let weeks pass, until nothing is due any more."""
    for _ in range(14):
        clock.advance(hours=3)
        garbage.review(10_000)


def unreviewed() -> list[Any]:
    """What verification finds wrong between rows and rows."""
    verifier = Verifier(page_size=10_000)
    phases = ("tags", "dangling", "rights", "orphan rows", "closed")
    return [finding for phase in phases for finding in verifier.page(phase, "").findings]


@pytest.mark.parametrize("seed", SEEDS)
def test_what_live_manifests_name_stays(seed: int, clock: Any) -> None:
    registry = RandomRegistry(300 + seed, clock)
    for _ in range(3):
        registry.do(35)
        assert not unreviewed()
        before = {name: set(named_by_tags(name)) & served(name) for name in NAMES}
        settle(clock)
        for name, digests in before.items():
            assert digests <= served(name)
        assert not unreviewed()


@pytest.mark.parametrize("seed", SEEDS)
def test_what_a_deletion_frees_is_what_was_said(
    seed: int, clock: Any, store: FilesystemStore
) -> None:
    registry = RandomRegistry(400 + seed, clock)
    for number in range(4):
        registry.do(25)
        settle(clock)
        name, names = NAMES[number % len(NAMES)], list(TAGS[: 1 + (seed + number) % len(TAGS)])
        repository = Repository.objects.filter(name=name, closed_at=None).first()
        if repository is None:
            continue
        before = sum(blob.size for blob in store.blobs()), Manifest.objects.count()
        said = freed.by_tags(repository.pk, names)
        for tag in set(names) & set(tags.page(name, "", 1000)):
            tags.delete(name, tag, ALICE)
        settle(clock)
        after = sum(blob.size for blob in store.blobs()), Manifest.objects.count()
        assert (said.alone, said.manifests) == (before[0] - after[0], before[1] - after[1])
