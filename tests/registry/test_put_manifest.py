"""end-7: pushing manifests and indexes."""

from __future__ import annotations

import hashlib
import json
from typing import Any
from urllib.parse import urlencode

import pytest

from registry import media_types
from registry.errors import Code
from registry.models import Event, Manifest, Repository, Tag
from registry.storage.filesystem import FilesystemStore
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person

pytestmark = pytest.mark.django_db(databases=["registry"])


def put(
    person: Person, reference: str, value: Any, media_type: str | None = None, name: str = APP
) -> Any:
    payload = value if isinstance(value, bytes) else images.encoded(value)
    if media_type is None:
        media_type = value["mediaType"] if isinstance(value, dict) else media_types.OCI_MANIFEST
    return person.send("PUT", f"/v2/{name}/manifests/{reference}", payload, content_type=media_type)


def manifest(name: str = APP, **more: Any) -> dict[str, Any]:
    """A manifest whose blobs have been pushed."""
    config, layer = images.content(20), images.content()
    for body in (config, layer):
        images.push_blob(name, body)
    return images.document(config, [layer], **more)


def test_it_works_by_tag(bob: Person, carol: Person) -> None:
    value = manifest()
    response = put(bob, "v1", value)
    digest = f"sha256:{hashlib.sha256(images.encoded(value)).hexdigest()}"
    assert response.status_code == 201
    assert response.content == b""
    assert response.headers["Location"] == f"/v2/{APP}/manifests/{digest}"
    assert response.headers["Docker-Content-Digest"] == digest
    assert "OCI-Subject" not in response.headers
    assert carol.send("GET", f"/v2/{APP}/manifests/v1").content == images.encoded(value)
    event = Event.objects.get(action="push")
    assert (event.repository, event.tag, event.digest, event.actor) == (APP, "v1", digest, "bob")


def test_it_works_by_digest(bob: Person) -> None:
    value = manifest()
    digest = f"sha256:{hashlib.sha256(images.encoded(value)).hexdigest()}"
    assert put(bob, digest, value).status_code == 201
    assert not Tag.objects.exists()


def test_it_works_by_sha512(bob: Person, carol: Person) -> None:
    value = manifest()
    digest = f"sha512:{hashlib.sha512(images.encoded(value)).hexdigest()}"
    response = put(bob, digest, value)
    assert response.status_code == 201
    assert response.headers["Docker-Content-Digest"] == digest
    got = carol.send("GET", f"/v2/{APP}/manifests/{digest}")
    assert got.content == images.encoded(value)
    assert got.headers["Docker-Content-Digest"] == digest


def test_it_works_twice(bob: Person) -> None:
    value = manifest()
    for _ in range(2):
        assert put(bob, "v1", value).status_code == 201
    assert (Manifest.objects.count(), Tag.objects.count()) == (1, 1)


def test_it_works_chunked(bob: Person, carol: Person) -> None:
    payload = images.encoded(manifest())
    response = bob.send(
        "PUT",
        f"/v2/{APP}/manifests/v1",
        payload,
        chunked=True,
        content_type=media_types.OCI_MANIFEST,
    )
    assert response.status_code == 201
    assert carol.send("GET", f"/v2/{APP}/manifests/v1").content == payload


def test_bytes_and_type_are_kept(bob: Person, carol: Person) -> None:
    value = manifest()
    del value["mediaType"]
    payload = json.dumps(value, indent=7, sort_keys=True).encode() + b"\n \n"
    declared = f"{media_types.DOCKER_MANIFEST}; charset=utf-8"
    assert put(bob, "v1", payload, declared).status_code == 201
    got = carol.send("GET", f"/v2/{APP}/manifests/v1")
    assert got.content == payload
    assert got.headers["Content-Type"] == media_types.DOCKER_MANIFEST


def test_a_manifest_of_four_mebibytes_works(bob: Person, carol: Person, settings: Any) -> None:
    value = manifest(annotations={"a": ""})
    missing = settings.REGISTRY_MAX_MANIFEST_SIZE - len(images.encoded(value))
    value["annotations"]["a"] = "x" * missing
    assert len(images.encoded(value)) == 4 * 1024 * 1024
    assert put(bob, "v1", value).status_code == 201
    value["annotations"]["a"] += "x"
    response = put(bob, "v2", value)
    assert_refused(response, Code.MANIFEST_INVALID, 413)


def test_a_chunked_manifest_that_is_too_large_is_refused(bob: Person, settings: Any) -> None:
    settings.REGISTRY_MAX_MANIFEST_SIZE = 100
    payload = images.encoded(manifest())
    response = bob.send(
        "PUT", f"/v2/{APP}/manifests/v1", payload, chunked=True,
        content_type=media_types.OCI_MANIFEST,
    )  # fmt: skip
    assert_refused(response, Code.MANIFEST_INVALID, 413)


def test_a_subject_is_answered_with_its_header(bob: Person) -> None:
    image = images.push_image(APP, "v1")
    value = manifest(subject=image.descriptor)
    assert put(bob, "sig", value).headers["OCI-Subject"] == image.digest


def test_a_subject_may_come_later(bob: Person, carol: Person) -> None:
    digest = f"sha256:{'1' * 64}"
    value = manifest(subject={"mediaType": "a/b", "digest": digest, "size": 5})
    assert put(bob, "sig", value).headers["OCI-Subject"] == digest
    found = carol.send("GET", f"/v2/{APP}/referrers/{digest}").json()["manifests"]
    assert len(found) == 1


def test_an_index_may_miss_children(bob: Person) -> None:
    image = images.push_image(APP, None)
    other = {"mediaType": media_types.OCI_MANIFEST, "digest": f"sha256:{'2' * 64}", "size": 7}
    value = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [image.descriptor, other],
    }
    assert put(bob, "multi", value).status_code == 201


def test_an_index_of_indexes_and_an_empty_one_work(bob: Person) -> None:
    inner = images.push_index(APP, None, [])
    value = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [inner.descriptor],
    }
    assert put(bob, "multi", value).status_code == 201


def test_a_manifest_without_layers_works(bob: Person) -> None:
    images.push_blob(APP, images.EMPTY_CONFIG)
    assert put(bob, "v1", images.document(images.EMPTY_CONFIG, [])).status_code == 201


@pytest.mark.parametrize("media_type", media_types.NONDISTRIBUTABLE)
def test_foreign_layers_need_not_be_here(bob: Person, media_type: str) -> None:
    value = manifest()
    value["layers"].append(
        {
            "mediaType": media_type,
            "digest": f"sha256:{'3' * 64}",
            "size": 9,
            "urls": ["http://127.0.0.1:1/layer"],
        }
    )
    assert put(bob, "v1", value).status_code == 201


def test_it_refuses_unknown_blobs_and_names_each(bob: Person) -> None:
    value = manifest()
    value["layers"] += [images.descriptor(images.content(), images.LAYER) for _ in range(3)]
    response = put(bob, "v1", value)
    assert_refused(response, Code.MANIFEST_BLOB_UNKNOWN)
    named = {error["detail"]["digest"] for error in response.json()["errors"]}
    assert named == {layer["digest"] for layer in value["layers"][1:]}
    assert not Tag.objects.exists()


def test_it_refuses_a_blob_that_only_another_repository_has(bob: Person) -> None:
    body = images.content()
    images.push_blob("acme/other", body)
    value = manifest()
    value["layers"].append(images.descriptor(body, images.LAYER))
    assert_refused(put(bob, "v1", value), Code.MANIFEST_BLOB_UNKNOWN)


def test_it_refuses_a_blob_whose_bytes_are_lost(bob: Person, store: FilesystemStore) -> None:
    value = manifest()
    store.delete(value["layers"][0]["digest"])
    assert_refused(put(bob, "v1", value), Code.MANIFEST_BLOB_UNKNOWN)
    assert not Manifest.objects.exists()


def test_it_refuses_a_wrong_size(bob: Person) -> None:
    value = manifest()
    value["layers"][0]["size"] += 1
    assert_refused(put(bob, "v1", value), Code.MANIFEST_INVALID)


def test_it_refuses_a_wrong_digest(bob: Person) -> None:
    value = manifest()
    assert_refused(put(bob, f"sha256:{'0' * 64}", value), Code.DIGEST_INVALID)
    assert_refused(put(bob, "sha256:zz", value), Code.DIGEST_INVALID)
    assert not Manifest.objects.exists()


def test_it_refuses_a_body_cut_short(bob: Person) -> None:
    payload = images.encoded(manifest())
    import io

    response = bob.send(
        "PUT", f"/v2/{APP}/manifests/v1", b"x",
        content_type=media_types.OCI_MANIFEST, token=None,
    )  # fmt: skip
    assert_refused(response, Code.MANIFEST_INVALID)
    token = bob.token_for(f"/v2/{APP}/manifests/v1")
    response = bob.generic(
        "PUT",
        f"/v2/{APP}/manifests/v1",
        b"",
        **{
            "HTTP_AUTHORIZATION": f"Bearer {token}",
            "CONTENT_TYPE": media_types.OCI_MANIFEST,
            "CONTENT_LENGTH": str(len(payload) + 1),
            "wsgi.input": io.BytesIO(payload),
        },
    )
    assert_refused(response, Code.SIZE_INVALID)
    assert not Manifest.objects.exists()


def test_a_refused_first_push_opens_no_repository(bob: Person) -> None:
    response = put(bob, "v1", b"{}", media_types.OCI_MANIFEST, name="acme/new")
    assert_refused(response, Code.MANIFEST_INVALID)
    value = images.document(images.content(), [])
    response = put(bob, "v1", value, name="acme/new")
    assert_refused(response, Code.MANIFEST_BLOB_UNKNOWN)
    assert not Repository.objects.exists()


def test_one_digest_keeps_one_type(bob: Person, carol: Person) -> None:
    """The same bytes pushed again under another type don't change what readers get."""
    value = manifest()
    del value["mediaType"]
    payload = images.encoded(value)
    put(bob, "v1", payload, media_types.OCI_MANIFEST)
    put(bob, "v2", payload, media_types.DOCKER_MANIFEST)
    for tag in ("v1", "v2"):
        got = carol.send("GET", f"/v2/{APP}/manifests/{tag}")
        assert got.headers["Content-Type"] == media_types.OCI_MANIFEST
    assert_refused(put(bob, "v3", payload, media_types.OCI_INDEX), Code.MANIFEST_INVALID)


NASTY = [
    {"os": "lin\0ux", "architecture": "amd64"},
    {"os": "\ud800", "architecture": "amd64"},
    {"os": "linux", "architecture": "a" * 10_000, "variant": "💥" * 100},
    {"os": 1, "architecture": ["x"], "variant": None},
    {"created": "9999-12-31T23:59:59.999999999-14:00"},
    {"created": "0001-01-01T00:00:00Z"},
    {"created": "0002-01-01T00:00:00+14:00"},
    {"created": "2024-02-30T00:00:00Z"},
    {"created": "2024-01-01T00:00:00.\u0661Z"},
    {"created": "2024-01-01T00:00:00.Z"},
    {"created": 5},
    [],
    "x",
]


@pytest.mark.parametrize("config", NASTY)
def test_a_strange_config_is_no_reason_to_refuse(
    bob: Person, carol: Person, config: object
) -> None:
    body = json.dumps(config).encode()
    images.push_blob(APP, body)
    assert put(bob, "v1", images.document(body, [])).status_code == 201
    assert carol.send("GET", f"/gitlab/v1/repositories/{APP}/tags/list/").status_code == 200
    assert carol.send("GET", f"/gitlab/v1/berth/tag/{APP}/?tag=v1").status_code == 200


@pytest.mark.parametrize("body", [b"", b"\xff\xfe", b"[" * 200_000, b"{", b"9" * 10_000])
def test_a_config_that_is_no_json_is_no_reason_to_refuse(bob: Person, body: bytes) -> None:
    images.push_blob(APP, body)
    assert put(bob, "v1", images.document(body, [])).status_code == 201


@pytest.mark.parametrize("platform", NASTY[:4])
def test_a_strange_platform_is_no_reason_to_refuse(
    bob: Person, carol: Person, platform: dict[str, Any]
) -> None:
    child = images.push_image(APP, None).descriptor | {"platform": platform}
    value = {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [child]}
    assert put(bob, "v1", value).status_code == 201
    assert carol.send("GET", f"/gitlab/v1/repositories/{APP}/tags/list/").status_code == 200


@pytest.mark.parametrize("media_type", ["text/plain; charset=utf-8", "", "\ud800", "a\0b", None])
def test_what_is_opaque_is_stored_as_it_came(
    bob: Person, carol: Person, media_type: str | None
) -> None:
    """podman's artifacts and Sigstore's bundles have parameters; some tools leave types empty."""
    subject = images.push_image(APP, "v1")
    bundle = "application/vnd.dev.sigstore.bundle+json;version=0.2"
    value = manifest(artifactType=bundle, subject=subject.descriptor)
    value["layers"][0]["mediaType"] = media_type
    if media_type is None:
        del value["layers"][0]["mediaType"]
    assert put(bob, "a", value).status_code == 201
    assert carol.send("GET", f"/v2/{APP}/manifests/a").content == images.encoded(value)
    listed = carol.send("GET", f"/v2/{APP}/referrers/{subject.digest}").json()["manifests"]
    assert [entry["artifactType"] for entry in listed] == [bundle]
    query = urlencode({"artifactType": bundle})
    found = carol.send("GET", f"/v2/{APP}/referrers/{subject.digest}?{query}").json()
    assert len(found["manifests"]) == 1
    assert carol.send("GET", f"/gitlab/v1/repositories/{APP}/tags/list/").status_code == 200


@pytest.mark.parametrize("key", ["layers", "manifests"])
@pytest.mark.parametrize("absent", [False, True])
def test_no_list_is_an_empty_one(bob: Person, carol: Person, key: str, absent: bool) -> None:
    """As Go's writers leave it where nothing is in it."""
    images.push_blob(APP, images.EMPTY_CONFIG)
    value = images.document(images.EMPTY_CONFIG, []) if key == "layers" else {
        "schemaVersion": 2, "mediaType": media_types.OCI_INDEX
    }  # fmt: skip
    value[key] = None
    if absent:
        del value[key]
    assert put(bob, "v1", value).status_code == 201
    assert carol.send("GET", f"/v2/{APP}/manifests/v1").content == images.encoded(value)
    assert carol.send("GET", f"/gitlab/v1/repositories/{APP}/tags/list/").status_code == 200


def test_many_layers_take_few_queries(bob: Person, django_assert_max_num_queries: Any) -> None:
    body = images.content()
    images.push_blob(APP, body)
    value = images.document(body, [body] * 9000)
    with django_assert_max_num_queries(19, using="registry"):
        assert put(bob, "v1", value).status_code == 201


def test_it_checks_access(bob: Person, carol: Person, mallory: Person, nobody: Person) -> None:
    value = manifest()
    needed = f"repository:{APP}:pull,push"
    assert_challenged(put(nobody, "v1", value), needed)
    assert_challenged(put(carol, "v1", value), needed, "insufficient_scope")
    assert_challenged(put(mallory, "v1", value), needed, "insufficient_scope")
    assert not Manifest.objects.exists()
    assert put(bob, "v1", value).status_code == 201
