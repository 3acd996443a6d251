"""What the collector keeps, and what goes with what it removes."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import RegistryError
from registry.models import (
    Event,
    Manifest,
    Review,
)
from registry.services import (
    blobs,
    manifests,
    repositories,
    tags,
)
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.images import ALICE
from tests.registry.services.garbage.collecting import OTHER, assert_whole, collect, files

pytestmark = [
    pytest.mark.django_db(databases=["registry"]),
    pytest.mark.usefixtures("short_delays"),
]


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
