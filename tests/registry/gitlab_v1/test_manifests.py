"""Manifests by digest, many at once; which other images have a blob; what an index's bytes are."""

from __future__ import annotations

import importlib
import json
from typing import Any

import pytest
from django.db import connections

from registry.errors import Code
from registry.models import Manifest, Tag
from registry.services import content_sizes, manifest_details, manifests
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])
LIST = f"/gitlab/v1/berth/manifests/{APP}/"
SHARED = f"/gitlab/v1/berth/shared-blobs/{APP}/"


def ask(person: Person, address: str, digests: Any, **more: Any) -> Any:
    return person.send("POST", address, json.dumps({"digests": digests}).encode(), **more)


def test_what_is_known_of_some(carol: Person) -> None:
    config = b'{"os": "linux", "architecture": "amd64", "created": "2026-11-20T10:00:00Z"}'
    image = images.push_image(APP, "v1", config=config, layers=[images.content(100)])
    signature = images.push_artifact(APP, image, "application/x.signature")
    elsewhere = images.push_image("acme/other", "v1")
    asked = [signature.digest, elsewhere.digest, image.digest, f"sha256:{'0' * 64}"]
    found = ask(carol, LIST, asked).json()
    assert [each["digest"] for each in found] == [signature.digest, image.digest]
    assert found[0]["subject"] == image.digest
    assert found[0]["artifact_type"] == "application/x.signature"
    assert found[1]["size_bytes"] == 100 + len(config)
    assert found[1]["created_at"] == "2026-11-20T10:00:00.000+00:00"
    assert (found[1]["pushed_by"], found[1]["subject"]) == ("alice", "")
    assert found[1]["platforms"] == [{"os": "linux", "architecture": "amd64"}]


def test_what_is_deleted_has_none(carol: Person) -> None:
    image = images.push_image(APP, "v1")
    manifests.delete(APP, image.digest, images.ALICE)
    assert ask(carol, LIST, [image.digest]).json() == []


@pytest.mark.parametrize("address", [LIST, SHARED])
def test_who_may(carol: Person, nobody: Person, address: str) -> None:
    image = images.push_image(APP, "v1")
    assert ask(carol, address, [image.digest]).status_code == 200
    assert_challenged(ask(nobody, address, [image.digest]), f"repository:{APP}:pull")


@pytest.mark.parametrize("address", [LIST, SHARED])
@pytest.mark.parametrize("digests", [[], None, "x", ["x"], [5], [f"sha256:{'0' * 64}"] * 201, {}])
def test_what_is_refused(carol: Person, address: str, digests: Any) -> None:
    images.push_image(APP, "v1")
    assert ask(carol, address, digests).status_code == 400


@pytest.mark.parametrize("address", [LIST, SHARED])
def test_an_image_that_is_not_there(carol: Person, address: str) -> None:
    assert_refused(ask(carol, address, [f"sha256:{'0' * 64}"]), Code.NAME_UNKNOWN, 404)


def test_a_blob_that_other_images_have(carol: Person) -> None:
    common = images.content(100)
    image = images.push_image(APP, "v1", layers=[common, images.content(100)])
    for name in ("acme/app/worker", "acme/app/web", "acme/secret"):
        images.push_image(name, "v1", layers=[common])
    seen = [Access.repository(name, "pull") for name in (APP, "acme/app/web", "acme/app/worker")]
    found = ask(carol, SHARED, list(image.layers), also=tuple(seen)).json()
    # What the token may not pull is not told, nor counted.
    assert found == {
        "known": True,
        "blobs": [
            {"digest": image.layers[0], "count": 2, "names": ["acme/app/web", "acme/app/worker"]}
        ],
    }


def test_too_many_images_to_look_through(carol: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_details, "MAX_REPOSITORIES", 1)
    image = images.push_image(APP, "v1")
    names = [f"acme/app/{number}" for number in range(2)]
    for name in names:
        images.push_image(name, "v1")
    seen = [Access.repository(name, "pull") for name in (APP, *names)]
    found = ask(carol, SHARED, list(image.layers), also=tuple(seen)).json()
    assert found == {"known": False, "blobs": []}


class TestSizeOfAnIndex:
    def test_what_platforms_share_counts_once(self) -> None:
        common, config = images.content(1000), b"{}"
        children = [
            images.push_image(APP, None, config=config, layers=[common, images.content(size)])
            for size in (10, 20)
        ]
        images.push_index(APP, "multi", [child.descriptor for child in children])
        assert Tag.objects.get().size == 1000 + 10 + 20 + len(config)

    def test_one_that_an_older_version_took_is_counted_by_the_migration(self) -> None:
        common = images.content(100)
        children = [
            images.push_image(APP, None, config=b"{}", layers=[common, images.content(size)])
            for size in (10, 20)
        ]
        images.push_blob(APP, listed := images.content(7))
        blob = images.descriptor(listed, images.LAYER)
        images.push_index(APP, "multi", [*(child.descriptor for child in children), blob])
        index = Manifest.objects.filter(media_type__contains="index")
        expected = Tag.objects.get().size
        assert expected == 132 + 7
        index.update(content_size=9999)
        Tag.objects.update(size=9999)
        migration = importlib.import_module("registry.migrations.0016_restored_tags")
        for sql in (migration._COUNT, migration._SIZE_OF_TAGS):
            connections["registry"].cursor().execute(sql)
        assert (index.get().content_size, Tag.objects.get().size) == (expected, expected)
        assert not Manifest.objects.filter(content_size=9999).exists()

    def test_an_index_of_indexes(self) -> None:
        image = images.push_image(APP, None, config=b"{}", layers=[images.content(10)])
        inner = [
            images.push_index(APP, None, [image.descriptor], annotations={"n": str(number)})
            for number in range(2)
        ]
        images.push_index(APP, "multi", [each.descriptor for each in inner])
        assert Tag.objects.get().size == 12

    def test_where_too_much_hangs_on_it_the_parts_are_added_up(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        common = images.content(100)
        children = [
            images.push_image(APP, None, config=b"{}", layers=[common, images.content(size)])
            for size in (10, 20)
        ]
        listed = [child.digest for child in children]
        pk = Manifest.objects.values_list("repository_id", flat=True)[0]
        assert content_sizes.of_index(pk, listed) == 132
        for name in ("MAX_ROWS", "MAX_MANIFESTS"):
            with monkeypatch.context() as patch:
                patch.setattr(content_sizes, name, 1)
                assert content_sizes.of_index(pk, listed) == 2 * 102 + 30


class TestRestored:
    def test_a_tag_that_comes_back_keeps_the_time_of_its_push(
        self, alice: Person, carol: Person, clock: Any
    ) -> None:
        images.push_image(APP, "v1")
        pushed = self.told(carol)
        clock.advance(hours=1)
        alice.send("DELETE", f"/v2/{APP}/manifests/v1")
        clock.advance(hours=1)
        self.restore(alice, Tag.objects.get().pk)
        again = self.told(carol)
        assert again["published_at"] == pushed["published_at"]
        assert (again["published_by"], again["restored_by"]) == ("alice", "alice")
        first, second = self.history(carol)[::-1]
        assert first["until"] < second["from"] == again["restored_at"]
        assert second["pushed_at"] == first["pushed_at"] == pushed["published_at"]
        assert first["restored_at"] is None

    def test_one_that_has_moved_is_moved_back_on_request(
        self, alice: Person, carol: Person
    ) -> None:
        image = images.push_image(APP, "v1")
        other = images.push_image(APP, "v1")
        past = Tag.objects.exclude(ended_at=None).get()
        assert self.restore(alice, past.pk).status_code == 409
        assert self.restore(alice, past.pk, move=True).json() == {"tags": ["v1"]}
        now, moved, _ = self.history(carol)
        assert (now["digest"], moved["digest"]) == (image.digest, other.digest)
        assert now["pushed_at"] < moved["pushed_at"]
        assert now["from"] == moved["until"]

    def test_one_that_was_deleted_by_digest_comes_back_on_request(self, alice: Person) -> None:
        image = images.push_image(APP, "v1")
        images.push_image(APP, "v1")
        manifests.delete(APP, image.digest, images.ALICE)
        past = Tag.objects.order_by("pk").first()
        assert past is not None
        assert self.restore(alice, past.pk, move=True).status_code == 200
        assert alice.send("GET", f"/v2/{APP}/manifests/v1").content == image.payload

    def test_what_had_begun_by_a_moment(self, alice: Person, clock: Any) -> None:
        digests = []
        for _ in range(3):
            digests.append(images.push_image(APP, "v1").digest)
            clock.advance(days=1)
        then = int(clock.now().timestamp()) - 2 * 24 * 3600 + 1

        def asked(before: Any) -> Any:
            return alice.send("GET", f"/gitlab/v1/berth/history/{APP}/?tag=v1&before={before}")

        assert [each["digest"] for each in asked(then).json()] == digests[1::-1]
        assert asked(1).json() == []
        for wrong in ("x", "-1", "9" * 18):
            assert asked(wrong).status_code == 400

    def told(self, person: Person) -> Any:
        return person.send("GET", f"/gitlab/v1/berth/tag/{APP}/?tag=v1").json()

    def history(self, person: Person) -> Any:
        return person.send("GET", f"/gitlab/v1/berth/history/{APP}/?tag=v1").json()

    def restore(self, person: Person, interval: int, **more: Any) -> Any:
        body = json.dumps({"tags": [interval], **more}).encode()
        return person.send("POST", f"/gitlab/v1/berth/restore/{APP}/", body)


TAGS = f"/gitlab/v1/berth/tags/{APP}/"


def belongings(person: Person, query: str) -> dict[str, list[str]]:
    answer = person.send("GET", TAGS + query)
    assert answer.status_code == 200, answer.content
    return {tag["name"]: tag.get("belongings") for tag in answer.json()}


def push_attested() -> images.Image:
    """An index with an attestation, as BuildKit makes it."""
    image = images.push_image(APP, None)
    layer = b"{}"
    images.push_blob(APP, layer)
    config = b'{"os": "unknown"}'
    images.push_blob(APP, config)
    document = images.document(config, [layer])
    document["layers"][0] |= {
        "mediaType": "application/vnd.in-toto+json",
        "annotations": {"in-toto.io/predicate-type": "https://slsa.dev/provenance/v1"},
    }
    attestation = images.push_manifest(APP, None, document)
    unknown = {"os": "unknown", "architecture": "unknown"}
    children = [image.descriptor, {**attestation.descriptor, "platform": unknown}]
    return images.push_index(APP, "attested", children)


def test_what_belongs_to_each(carol: Person) -> None:
    signed = images.push_image(APP, "signed")
    images.push_artifact(APP, signed, "application/spdx+json")
    images.push_image(APP, f"{signed.digest.replace(':', '-')}.sig")
    images.push_image(APP, "plain")
    push_attested()
    found = belongings(carol, "?belongings=true&signatures=false")
    assert found == {
        "attested": ["https://slsa.dev/provenance/v1"],
        "plain": [],
        "signed": ["application/spdx+json", "cosign.sig"],
    }
    assert set(belongings(carol, "?n=9").values()) == {None}


@pytest.mark.parametrize("sort", ["name", "-published_at", "-size_bytes", "-last_pulled_at"])
def test_signatures_are_left_out(carol: Person, sort: str) -> None:
    stem = f"sha256-{'a' * 64}"
    hidden = [f"{stem}.sig", f"{stem}.att", f"{stem}.sbom"]
    kept = [stem, f"{stem}.sigs", f"{stem[:-1]}.sig", f"SHA256-{'a' * 64}.sig", "v1", "sha256"]
    image = images.push_image(APP, "v1")
    for name in {*hidden, *kept} - {"v1"}:
        images.push_manifest(APP, name, json.loads(image.payload))
    assert set(belongings(carol, f"?signatures=false&sort={sort}")) == set(kept)
    assert set(belongings(carol, f"?sort={sort}")) == {*hidden, *kept}
    details = carol.send("GET", f"/gitlab/v1/berth/repository/{APP}/").json()
    assert (details["tags_count"], details["signature_tags_count"]) == (9, 3)


def test_the_next_page_is_asked_alike(carol: Person) -> None:
    image = images.push_image(APP, "a")
    for name in ("b", f"sha256-{'a' * 64}.sig"):
        images.push_manifest(APP, name, json.loads(image.payload))
    answer = carol.send("GET", f"{TAGS}?n=1&signatures=false&belongings=true")
    assert "signatures=false" in answer.headers["Link"]
    assert "belongings=true" in answer.headers["Link"]


def test_a_command_to_pull_names_a_tag_that_is_there(carol: Person) -> None:
    image = images.push_image(APP, f"sha256-{'a' * 64}.sig")

    def told() -> str:
        found = carol.send("GET", f"/gitlab/v1/berth/repository/{APP}/").json()
        return str(found["pull_tag"])

    assert told() == ""
    for name in ("b", "a", "latest", "z"):
        images.push_manifest(APP, name, json.loads(image.payload))
        assert told() == ("latest" if name in ("latest", "z") else name)
