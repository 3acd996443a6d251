"""end-7b, and tags of manifests that have a sha512 digest."""

from __future__ import annotations

from typing import Any

import pytest

from registry import digest as digests
from registry import media_types
from registry.errors import Code
from registry.models import Event, Manifest, Repository, Tag
from registry.services import tags
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person

pytestmark = pytest.mark.django_db(databases=["registry"])


def payload_of_image(name: str = APP) -> bytes:
    """A manifest whose blobs have been pushed."""
    config, layer = images.content(20), images.content()
    for body in (config, layer):
        images.push_blob(name, body)
    return images.encoded(images.document(config, [layer]))


def put(person: Person, reference: str, payload: bytes, *names: str, name: str = APP) -> Any:
    query = "&".join(f"tag={tag}" for tag in names)
    path = f"/v2/{name}/manifests/{reference}{'?' if query else ''}{query}"
    return person.send("PUT", path, payload, content_type=media_types.OCI_MANIFEST)


def told(response: Any) -> list[str]:
    """The tags that an answer names, as a client sees its fields."""
    return [value for field, value in response.items() if field == "OCI-Tag"]


@pytest.mark.parametrize("algorithm", digests.ALGORITHMS)
def test_all_tags_point_at_once(bob: Person, carol: Person, algorithm: str) -> None:
    payload = payload_of_image()
    digest = digests.of(payload, algorithm)
    names = ["1.2.3", "1.2", "1", "latest", *(f"t{number}" for number in range(6))]
    response = put(bob, digest, payload, *names)
    assert response.status_code == 201
    assert response.headers["Docker-Content-Digest"] == digest
    assert told(response) == names
    for tag in names:
        got = carol.send("GET", f"/v2/{APP}/manifests/{tag}")
        assert (got.content, got.headers["Docker-Content-Digest"]) == (payload, digest)
    events = Event.objects.filter(action="push").order_by("pk").values_list("tag", "digest")
    assert list(events) == [(tag, digest) for tag in names]
    assert Manifest.objects.count() == 1


def test_tags_move_together(bob: Person) -> None:
    images.push_image(APP, "latest")
    payload = payload_of_image()
    digest = digests.of(payload)
    assert told(put(bob, digest, payload, "latest", "v2")) == ["latest", "v2"]
    found = Tag.objects.filter(ended_at=None).values_list("name", "digest")
    assert sorted(found) == [("latest", digest), ("v2", digest)]


def test_a_tag_that_stands_twice_counts_once(bob: Person) -> None:
    payload = payload_of_image()
    assert told(put(bob, digests.of(payload), payload, "a", "b", "a")) == ["a", "b"]
    assert Tag.objects.count() == 2


def test_no_tag_is_told_of_an_ordinary_push(bob: Person) -> None:
    payload = payload_of_image()
    assert told(put(bob, "v1", payload)) == []
    assert told(put(bob, digests.of(payload), payload)) == []


def test_there_is_a_bound(bob: Person) -> None:
    payload = payload_of_image()
    names = [f"t{number}" for number in range(tags.MAX_AT_ONCE + 1)]
    assert_refused(put(bob, digests.of(payload), payload, *names), Code.TAG_INVALID, 414)
    assert not Manifest.objects.exists()
    assert told(put(bob, digests.of(payload), payload, *names[1:])) == names[1:]


@pytest.mark.parametrize("bad", ["", ".v1", "a/b", "a" * 129, "v%00"])
def test_it_refuses_all_or_sets_all(bob: Person, bad: str) -> None:
    payload = payload_of_image("acme/new")
    Repository.objects.filter(name="acme/new").update(name=APP)
    response = put(bob, digests.of(payload), payload, "good", bad)
    assert_refused(response, Code.TAG_INVALID)
    wrong = put(bob, f"sha256:{'0' * 64}", payload, "good")
    assert_refused(wrong, Code.DIGEST_INVALID)
    assert_refused(put(bob, "v1", payload, "good"), Code.TAG_INVALID)
    assert not Tag.objects.exists()
    assert not Manifest.objects.exists()


def test_a_tag_keeps_a_sha512_digest(bob: Person, carol: Person) -> None:
    """Pushed by sha512 with the tag, then once more by the tag alone, as clients retry."""
    payload = payload_of_image()
    digest = digests.of(payload, "sha512")
    put(bob, digest, payload, "v1")
    # The other digest is here too, for somebody else.
    put(bob, digests.of(payload), payload, "other")
    again = put(bob, "v1", payload)
    assert again.headers["Docker-Content-Digest"] == digest
    for method in ("GET", "HEAD"):
        got = carol.send(method, f"/v2/{APP}/manifests/v1")
        assert got.headers["Docker-Content-Digest"] == digest
    assert put(bob, "new", payload).headers["Docker-Content-Digest"] == digests.of(payload)


def test_bytes_that_are_here_by_another_digest_keep_it(bob: Person) -> None:
    """By digest first and by tag after it, as some clients do."""
    payload = payload_of_image()
    digest = digests.of(payload, "sha512")
    put(bob, digest, payload)
    assert put(bob, "v1", payload).headers["Docker-Content-Digest"] == digest
    assert Manifest.objects.count() == 1
