"""end-9: deleting a manifest with its tags, and deleting a tag alone."""

from __future__ import annotations

from typing import Any

import pytest

from registry.errors import Code
from registry.models import Event, Manifest, Review, Tag
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person

pytestmark = pytest.mark.django_db(databases=["registry"])


def test_by_digest_it_takes_the_tags_along(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    images.push_manifest(APP, "v2", images.json.loads(image.payload))
    other = images.push_image(APP, "v3")
    response = alice.send("DELETE", f"/v2/{APP}/manifests/{image.digest}")
    assert (response.status_code, response.content) == (202, b"")
    for reference in ("v1", "v2", image.digest):
        assert alice.send("GET", f"/v2/{APP}/manifests/{reference}").status_code == 404
    assert alice.send("GET", f"/v2/{APP}/manifests/v3").content == other.payload
    assert alice.send("GET", f"/v2/{APP}/tags/list").json()["tags"] == ["v3"]
    event = Event.objects.get(action="delete")
    assert (event.digest, event.tag, event.actor) == (image.digest, "", "alice")


def test_by_tag_it_takes_nothing_else(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    images.push_manifest(APP, "v2", images.json.loads(image.payload))
    assert alice.send("DELETE", f"/v2/{APP}/manifests/v1").status_code == 202
    assert alice.send("GET", f"/v2/{APP}/manifests/v1").status_code == 404
    for reference in ("v2", image.digest):
        assert alice.send("GET", f"/v2/{APP}/manifests/{reference}").status_code == 200
    assert Tag.objects.get(name="v1").ended_by == "alice"


def test_what_was_deleted_can_be_pushed_again(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    alice.send("DELETE", f"/v2/{APP}/manifests/{image.digest}")
    images.push_manifest(APP, "v1", images.json.loads(image.payload))
    assert alice.send("GET", f"/v2/{APP}/manifests/v1").content == image.payload
    assert Manifest.objects.count() == 1
    assert Tag.objects.filter(name="v1").count() == 2


def test_what_was_deleted_waits_for_review(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    alice.send("DELETE", f"/v2/{APP}/manifests/{image.digest}")
    review = Review.objects.get(kind="manifest")
    assert review.target == Manifest.objects.get(digest=image.digest).pk


def test_it_refuses_a_second_time(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    for reference in ("v1", image.digest):
        path = f"/v2/{APP}/manifests/{reference}"
        assert alice.send("DELETE", path).status_code == 202
        assert_refused(alice.send("DELETE", path), Code.MANIFEST_UNKNOWN)


def test_it_refuses_what_is_not_here(alice: Person) -> None:
    images.push_image(APP, "v1")
    for reference in ("none", f"sha256:{'0' * 64}"):
        response = alice.send("DELETE", f"/v2/{APP}/manifests/{reference}")
        assert_refused(response, Code.MANIFEST_UNKNOWN)
    assert_refused(alice.send("DELETE", "/v2/acme/no/manifests/v1"), Code.NAME_UNKNOWN)


def test_it_refuses_a_manifest_that_an_index_lists(alice: Person) -> None:
    child = images.push_image(APP, "v1")
    index = images.push_index(APP, "multi", [child.descriptor])
    path = f"/v2/{APP}/manifests/{child.digest}"
    assert_refused(alice.send("DELETE", path), Code.DENIED, 405)
    assert alice.send("GET", f"/v2/{APP}/manifests/v1").status_code == 200
    assert alice.send("DELETE", f"/v2/{APP}/manifests/{index.digest}").status_code == 202
    assert alice.send("DELETE", path).status_code == 202


def test_a_tag_of_a_listed_manifest_may_go(alice: Person) -> None:
    child = images.push_image(APP, "v1")
    images.push_index(APP, "multi", [child.descriptor])
    assert alice.send("DELETE", f"/v2/{APP}/manifests/v1").status_code == 202
    assert alice.send("GET", f"/v2/{APP}/manifests/{child.digest}").status_code == 200


def test_an_index_elsewhere_does_not_count(alice: Person) -> None:
    child = images.push_image(APP, "v1")
    images.push_index("acme/other", "multi", [child.descriptor])
    assert alice.send("DELETE", f"/v2/{APP}/manifests/{child.digest}").status_code == 202


def test_referrers_do_not_count(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    images.push_artifact(APP, image, "a/signature")
    assert alice.send("DELETE", f"/v2/{APP}/manifests/{image.digest}").status_code == 202


def test_it_is_off_where_deletion_is_off(alice: Person, settings: Any) -> None:
    image = images.push_image(APP, "v1")
    settings.REGISTRY_DELETE_ENABLED = False
    for reference in ("v1", image.digest, "none"):
        response = alice.send("DELETE", f"/v2/{APP}/manifests/{reference}")
        assert_refused(response, Code.UNSUPPORTED)
    assert alice.send("GET", f"/v2/{APP}/manifests/v1").status_code == 200


def test_it_checks_access(
    alice: Person, bob: Person, carol: Person, mallory: Person, nobody: Person
) -> None:
    image = images.push_image(APP, "v1")
    needed = f"repository:{APP}:delete"
    for reference in ("v1", image.digest):
        path = f"/v2/{APP}/manifests/{reference}"
        assert_challenged(nobody.send("DELETE", path), needed)
        for person in (bob, carol, mallory):
            assert_challenged(person.send("DELETE", path), needed, "insufficient_scope")
    assert alice.send("GET", f"/v2/{APP}/manifests/v1").status_code == 200
