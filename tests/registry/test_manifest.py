"""The parser of manifests: what it reads, what it refuses, and that it never breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from registry import manifest, media_types
from registry.errors import Code, RegistryError
from tests.registry import images

pytestmark = pytest.mark.engineless

DIGEST = f"sha256:{'a' * 64}"
OTHER = f"sha256:{'b' * 64}"


def descriptor(**changes: Any) -> dict[str, Any]:
    return {"mediaType": images.LAYER, "digest": DIGEST, "size": 5, **changes}


def document(**changes: Any) -> dict[str, Any]:
    found = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "config": descriptor(mediaType=images.CONFIG),
        "layers": [descriptor(digest=OTHER)],
        **changes,
    }
    return {name: value for name, value in found.items() if value is not ...}


def index(**changes: Any) -> dict[str, Any]:
    found = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": [descriptor(mediaType=media_types.OCI_MANIFEST)],
        **changes,
    }
    return {name: value for name, value in found.items() if value is not ...}


def parse(value: Any, content_type: str | None = media_types.OCI_MANIFEST) -> Any:
    payload = value if isinstance(value, bytes) else json.dumps(value).encode()
    return manifest.parse(payload, content_type)


def assert_invalid(value: Any, content_type: str | None = media_types.OCI_MANIFEST) -> str:
    with pytest.raises(RegistryError) as refused:
        parse(value, content_type)
    assert refused.value.code is Code.MANIFEST_INVALID
    assert refused.value.status == 400
    return refused.value.message


def test_a_manifest() -> None:
    found = parse(document(annotations={"a": "b"}))
    assert found.media_type == media_types.OCI_MANIFEST
    assert not found.is_index
    assert set(found.needed_blobs) == {DIGEST, OTHER}
    assert found.content_size == 10
    assert found.artifact_type == images.CONFIG
    assert found.annotations == {"a": "b"}


def test_a_blob_that_stands_twice_counts_once() -> None:
    found = parse(document(layers=[descriptor(), descriptor(), descriptor(digest=OTHER)]))
    assert found.content_size == 10


def test_an_index() -> None:
    platform = {"os": "linux", "architecture": "arm64", "variant": "v8", "os.version": "x"}
    children = [descriptor(platform=platform), descriptor(platform={"os": "unknown"})]
    found = parse(index(manifests=children), media_types.OCI_INDEX)
    assert found.is_index
    assert found.needed_blobs == {}
    assert found.platforms == [{"os": "linux", "architecture": "arm64", "variant": "v8"}]


@pytest.mark.parametrize(
    ("declared", "inside", "is_index"),
    [
        (media_types.OCI_MANIFEST, ..., False),
        (media_types.DOCKER_MANIFEST, ..., False),
        (media_types.DOCKER_MANIFEST, media_types.DOCKER_MANIFEST, False),
        ("application/json", ..., False),
        (None, ..., False),
        (None, media_types.DOCKER_MANIFEST, False),
        ("application/octet-stream", ..., False),
        (f" {media_types.OCI_MANIFEST.upper()} ; charset=UTF-8", ..., False),
        (media_types.OCI_INDEX, ..., True),
        (media_types.DOCKER_LIST, media_types.DOCKER_LIST, True),
        ("application/json", ..., True),
    ],
)
def test_media_types(declared: str | None, inside: Any, is_index: bool) -> None:
    value = (index if is_index else document)(mediaType=inside)
    found = parse(value, declared)
    assert found.is_index == is_index


@pytest.mark.parametrize(
    "declared",
    ["text/html", "application/vnd.oci.image.config.v1+json", "x", "a/b", media_types.OCI_INDEX,
     media_types.DOCKER_MANIFEST, *media_types.DOCKER_SCHEMA_1],
)  # fmt: skip
def test_other_media_types_are_refused(declared: str) -> None:
    assert_invalid(document(), declared)


def test_schema_1_is_refused_with_a_way_out() -> None:
    value = {"schemaVersion": 1, "name": "x", "tag": "y", "fsLayers": [], "history": []}
    for declared in (*media_types.DOCKER_SCHEMA_1, "application/json"):
        assert "schema 1" in assert_invalid(value, declared)


@pytest.mark.parametrize(
    "value",
    [
        b"", b"not json", b"[]", b"null", b"2", b'"x"', b"\xef\xbb\xbf{}", b'{"a":"\xff"}', b"{}",
        b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
        b'{"schemaVersion":2,"x":NaN}', b'{"schemaVersion": 2} trailing', b"\x00",
        json.dumps(document()).encode("utf-16"),
    ],
)  # fmt: skip
def test_what_is_no_json_object_is_refused(value: bytes) -> None:
    assert_invalid(value)


@pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
def test_numbers_that_json_does_not_have_are_refused(constant: str) -> None:
    text = json.dumps(document(annotations=...))[:-1] + f', "x": {constant}}}'
    assert_invalid(text.encode())


@pytest.mark.parametrize(
    "changes",
    [
        {"schemaVersion": 3}, {"schemaVersion": "2"}, {"schemaVersion": True}, {"schemaVersion": ...},
        {"schemaVersion": 2.0}, {"schemaVersion": None},
        {"mediaType": 5}, {"mediaType": "application/json\r\nX-Evil: 1"}, {"mediaType": ""},
        {"config": ...}, {"config": None}, {"config": "x"}, {"config": []}, {"config": {}},
        {"layers": {}}, {"layers": ""}, {"layers": [None]}, {"layers": ["x"]},
        {"layers": [[]]}, {"manifests": []}, {"manifests": ""},
        {"subject": "x"}, {"subject": {}}, {"subject": descriptor(digest="sha256:zz")},
        {"annotations": []}, {"annotations": {"a": 1}}, {"annotations": {"a": None}},
        {"annotations": "x"},
        {"artifactType": 5}, {"artifactType": "a/b\r\nX: 1"}, {"artifactType": "a/" + "b" * 254},
        {"artifactType": "a\0b"}, {"artifactType": "\ud800"},
        {"config": descriptor(mediaType="a/b\n")}, {"config": descriptor(mediaType="a" * 5000)},
    ],
)  # fmt: skip
def test_malformed_fields_are_refused(changes: dict[str, Any]) -> None:
    assert_invalid(document(**changes))


@pytest.mark.parametrize(
    "changes",
    [
        {"digest": "sha256:zz"}, {"digest": None}, {"digest": 5}, {"digest": ["sha256"]},
        {"digest": f"sha256:{'A' * 64}"}, {"digest": DIGEST + "\n"}, {"digest": f"md5:{'a' * 32}"},
        {"size": -1}, {"size": "5"}, {"size": 5.0}, {"size": True}, {"size": None}, {"size": 2**63},
        {"mediaType": 5}, {"mediaType": ["a/b"]},
        {"urls": "http://x"}, {"urls": [5]}, {"urls": {}},
        {"artifactType": 5},
    ],
)  # fmt: skip
def test_malformed_descriptors_are_refused(changes: dict[str, Any]) -> None:
    assert_invalid(document(layers=[descriptor(**changes)]))
    assert_invalid(document(config=descriptor(**changes)))
    assert_invalid(document(subject=descriptor(**changes)))
    assert_invalid(index(manifests=[descriptor(**changes)]), media_types.OCI_INDEX)


OPAQUE = [
    None, "", "x", "text/plain; charset=utf-8", "a/b\n", "a/" + "b" * 5000, "\ud800", "a\0b", "💥",
    "application/vnd.dev.sigstore.bundle+json;version=0.2", *media_types.INDEXES,
]  # fmt: skip


@pytest.mark.parametrize("media_type", [..., *OPAQUE])
def test_what_decides_nothing_is_not_looked_at(media_type: Any) -> None:
    """The media types of layers, children and subjects, and artifact types that a list gives."""
    given = {
        name: value for name, value in descriptor(mediaType=media_type).items() if value is not ...
    }
    found = parse(document(layers=[given], subject=given))
    assert found.layers[0].media_type == (media_type if isinstance(media_type, str) else "")
    assert not found.layers[0].is_foreign
    child = given if media_type is ... else given | {"artifactType": media_type}
    assert parse(index(manifests=[child], subject=given), media_types.OCI_INDEX).children


@pytest.mark.parametrize("absent", [..., None])
def test_lists_that_are_null_or_absent_are_empty(absent: Any) -> None:
    assert parse(document(layers=absent, manifests=absent)).layers == ()
    found = parse(index(manifests=absent, config=absent, layers=absent), media_types.OCI_INDEX)
    assert (found.is_index, found.children) == (True, ())


@pytest.mark.parametrize("media_type", ["", "text/plain; charset=utf-8", "x", None, ...])
def test_the_type_of_a_config_is_that_of_the_artifact(media_type: Any) -> None:
    config = {k: v for k, v in descriptor(mediaType=media_type).items() if v is not ...}
    wanted = media_type if isinstance(media_type, str) else ""
    assert parse(document(config=config)).artifact_type == wanted
    assert parse(document(config=config, artifactType="no type")).artifact_type == "no type"


@pytest.mark.parametrize("changes", [{"config": descriptor()}, {"layers": []}, {"manifests": {}}])
def test_an_index_that_is_something_else_too_is_refused(changes: dict[str, Any]) -> None:
    assert_invalid(index(**changes), media_types.OCI_INDEX)


@pytest.mark.parametrize(
    "text",
    [
        '{"layers": [], "layers": [1]}', '{"a": {"x": 1, "x": 2}}', '{"a": [{"x": 1, "x": 1}]}',
        '{"\\u0061": 1, "a": 1}',
    ],
)  # fmt: skip
def test_a_key_that_stands_twice_is_refused(text: str) -> None:
    assert "twice" in assert_invalid(text.encode())


@pytest.mark.parametrize("key", ["Layers", "CONFIG", "mediatype", "ſubject", "Subject"])
def test_a_key_in_another_case_is_refused(key: str) -> None:
    """Go's readers take any case, so they would read another manifest than we do."""
    assert "case" in assert_invalid(document(**{key: []}))


@pytest.mark.parametrize("key", ["Digest", "SIZE", "mediatype", "URLs", "ſize"])
def test_a_key_of_a_descriptor_in_another_case_is_refused(key: str) -> None:
    for where in ("config", "subject"):
        assert "case" in assert_invalid(document(**{where: descriptor(**{key: OTHER})}))
    assert "case" in assert_invalid(document(layers=[descriptor(**{key: OTHER})]))
    children = index(manifests=[descriptor(**{key: OTHER})])
    assert "case" in assert_invalid(children, media_types.OCI_INDEX)


def test_unknown_keys_are_read_over() -> None:
    parse(document(future={"Digest": 1}, history=[]))
    parse(document(layers=[descriptor(data="", future=[])]))
    parse(document(annotations={"Layers": "x", "layers": "y"}))


def test_there_is_a_limit_to_references() -> None:
    parse(document(layers=[descriptor()] * manifest.MAX_REFERENCES))
    assert_invalid(document(layers=[descriptor()] * (manifest.MAX_REFERENCES + 1)))


def test_sha512_is_a_digest() -> None:
    parse(document(layers=[descriptor(digest=f"sha512:{'0' * 128}")]))


def test_foreign_layers_are_not_needed() -> None:
    foreign = descriptor(digest=OTHER, mediaType=media_types.NONDISTRIBUTABLE[0])
    by_url = descriptor(digest=OTHER, urls=["http://x/"])
    for layer in (foreign, by_url):
        found = parse(document(layers=[layer]))
        assert set(found.needed_blobs) == {DIGEST}
        assert found.foreign_blobs == {OTHER}


def test_a_digest_that_is_needed_once_is_needed() -> None:
    """Listed as foreign and as ordinary: the ordinary one counts."""
    found = parse(document(layers=[descriptor(urls=["http://x/"], digest=OTHER),
                                   descriptor(digest=OTHER)]))  # fmt: skip
    assert OTHER in found.needed_blobs


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(
        st.sampled_from(
            ["mediaType", "digest", "size", "config", "layers", "manifests", "subject", "urls",
             "annotations", "platform", "os", "schemaVersion", "artifactType", "x"]
        ),
        inner,
        max_size=6,
    ),
    max_leaves=15,
)  # fmt: skip
_TYPES = st.sampled_from([*media_types.MANIFESTS, *media_types.INDEXES, None, "application/json"])


@settings(max_examples=200, deadline=None)
@given(value=_JSON, content_type=_TYPES)
def test_any_json_is_read_or_refused(value: object, content_type: str | None) -> None:
    _read_or_refuse(json.dumps(value).encode(), content_type)


@settings(max_examples=200, deadline=None)
@given(changes=st.dictionaries(st.sampled_from(list(document())), _JSON), declared=_TYPES)
def test_any_change_is_read_or_refused(changes: dict[str, Any], declared: str | None) -> None:
    _read_or_refuse(json.dumps(document(**changes)).encode(), declared)


@settings(max_examples=200, deadline=None)
@given(payload=st.binary(max_size=200), declared=st.text(max_size=50))
def test_any_bytes_are_refused(payload: bytes, declared: str) -> None:
    _read_or_refuse(payload, declared)


def _read_or_refuse(payload: bytes, content_type: str | None) -> None:
    refused: RegistryError | None = None
    try:
        found = manifest.parse(payload, content_type)
    except RegistryError as error:
        refused = error
    if refused is not None:
        assert refused.code is Code.MANIFEST_INVALID
        return
    # What was read is sound: an index or a manifest, with digests and sizes that can be stored.
    assert found.media_type in media_types.MANIFESTS + media_types.INDEXES
    assert found.is_index == (found.config is None)
    assert 0 <= found.content_size < 2**63 * (len(found.layers) + 1)
