"""end-2, end-10: reading blobs, ranges of them, and taking the right to one away."""

from __future__ import annotations

import email
import email.policy
import os
from typing import Any

import pytest

from registry.errors import Code
from registry.models import RepositoryBlob
from registry.storage import paths
from registry.storage.filesystem import FilesystemStore
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, content_of

pytestmark = pytest.mark.django_db(databases=["registry"])

BODY = bytes(range(200))


@pytest.fixture
def digest() -> str:
    """A blob of 200 bytes in the app."""
    return images.push_blob(APP, BODY)


def test_it_works(carol: Person, digest: str) -> None:
    response = carol.send("GET", f"/v2/{APP}/blobs/{digest}")
    assert response.status_code == 200
    assert content_of(response) == BODY
    assert response.headers["Content-Type"] == "application/octet-stream"
    assert response.headers["Content-Length"] == "200"
    assert response.headers["Docker-Content-Digest"] == digest
    assert response.headers["Accept-Ranges"] == "bytes"
    assert response.headers["ETag"] == f'"{digest}"'
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "private" in response.headers["Cache-Control"]


def test_head_says_what_get_says(carol: Person, digest: str) -> None:
    got = carol.send("GET", f"/v2/{APP}/blobs/{digest}")
    head = carol.send("HEAD", f"/v2/{APP}/blobs/{digest}")
    assert (head.status_code, head.content) == (200, b"")
    without = {"X-Request-Id"}
    assert {k: v for k, v in head.headers.items() if k not in without} == {
        k: v for k, v in got.headers.items() if k not in without
    }


def test_an_empty_blob_works(carol: Person) -> None:
    empty = images.push_blob(APP, b"")
    response = carol.send("GET", f"/v2/{APP}/blobs/{empty}")
    assert (response.status_code, content_of(response)) == (200, b"")
    assert response.headers["Content-Length"] == "0"


@pytest.mark.parametrize(
    ("field", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=50-59", 50, 60),
        ("bytes=190-", 190, 200),
        ("bytes=190-500", 190, 200),
        ("bytes=199-199", 199, 200),
        ("bytes=-1", 199, 200),
        ("bytes=-50", 150, 200),
        (" bytes=1-2 ", 1, 3),
    ],
)
def test_a_range_works(carol: Person, digest: str, field: str, start: int, end: int) -> None:
    response = carol.send("GET", f"/v2/{APP}/blobs/{digest}", Range=field)
    assert response.status_code == 206
    assert content_of(response) == BODY[start:end]
    assert response.headers["Content-Range"] == f"bytes {start}-{end - 1}/200"
    assert response.headers["Content-Length"] == str(end - start)


@pytest.mark.parametrize(
    "field",
    [
        "bytes=0-",
        "bytes=0-199",
        "bytes=-200",
        "bytes=-500",
        "Bytes=0-",
        "bytes=0-,",
        "bytes=0-,999-",
    ],
)
def test_a_range_of_everything_is_a_range(carol: Person, digest: str, field: str) -> None:
    """Clients that seek ask so whether they may: 200 would tell them no."""
    response = carol.send("GET", f"/v2/{APP}/blobs/{digest}", Range=field)
    assert response.status_code == 206
    assert response.headers["Content-Range"] == "bytes 0-199/200"
    assert content_of(response) == BODY


def parts_of(response: Any) -> list[tuple[str, bytes]]:
    """The parts of a multipart answer, by the standard library's reading of it."""
    content = content_of(response)
    assert len(content) == int(response.headers["Content-Length"])
    head = f"Content-Type: {response.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + content, policy=email.policy.HTTP)
    assert message.get_content_type() == "multipart/byteranges"
    found = []
    for part in message.iter_parts():
        assert part.get_content_type() == "application/octet-stream"
        found.append((part["Content-Range"], part.get_payload(decode=True)))
    return found


LARGE = bytes(range(48, 112)) * 4096
"""256 KiB without an end of line, which the standard library would touch."""


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("bytes=100-199,200000-200099", [(100, 200), (200_000, 200_100)]),
        ("bytes=200000-200099, 0-0 ,\t-5", [(200_000, 200_100), (0, 1), (262_139, 262_144)]),
        ("bytes=0-9,0-9", [(0, 10), (0, 10)]),
        ("bytes=0-0,,1-1,", [(0, 1), (1, 2)]),
        ("bytes=5-9,900000-,262143-", [(5, 10), (262_143, 262_144)]),
        ("bytes=" + ",".join(f"{n * 40}-{n * 40 + 9}" for n in range(1024)),
         [(n * 40, n * 40 + 10) for n in range(1024)]),
    ],
)  # fmt: skip
def test_several_ranges_work(carol: Person, field: str, wanted: list[tuple[int, int]]) -> None:
    """RFC 9110, 14.6: in the order in which they were asked for, and each by itself."""
    digest = images.push_blob(APP, LARGE)
    response = carol.send("GET", f"/v2/{APP}/blobs/{digest}", Range=field)
    assert response.status_code == 206
    assert "Content-Range" not in response.headers
    assert response.headers["Docker-Content-Digest"] == digest
    assert parts_of(response) == [
        (f"bytes {start}-{end - 1}/{len(LARGE)}", LARGE[start:end]) for start, end in wanted
    ]


@pytest.mark.parametrize(
    "field",
    [
        "bytes=0-,0-", "bytes=0-200000,100000-", "bytes=0-1,5-2", "bytes=0-1,x", "bytes=0-1;4-5",
        "bytes=" + "0-0," * 1025,
        "bytes=" + ",".join(f"{n}-{n}" for n in range(0, 3000, 2)),
    ],
)  # fmt: skip
def test_ranges_are_never_more_than_everything(carol: Person, field: str) -> None:
    digest = images.push_blob(APP, LARGE)
    response = carol.send("GET", f"/v2/{APP}/blobs/{digest}", Range=field)
    assert (response.status_code, content_of(response)) == (200, LARGE)


def test_one_of_several_that_is_there_is_one(carol: Person) -> None:
    digest = images.push_blob(APP, LARGE)
    response = carol.send("GET", f"/v2/{APP}/blobs/{digest}", Range="bytes=900000-,3-5,-0")
    assert (response.status_code, content_of(response)) == (206, LARGE[3:6])
    assert response.headers["Content-Range"] == f"bytes 3-5/{len(LARGE)}"


@pytest.mark.parametrize("form", ['"{}"', 'W/"{}"', '"x", "{}"', "{}", "*"])
def test_what_the_client_has_is_not_sent_again(carol: Person, digest: str, form: str) -> None:
    field = form.format(digest)
    for method in ("GET", "HEAD"):
        path = f"/v2/{APP}/blobs/{digest}"
        response = carol.send(method, path, If_None_Match=field, Range="bytes=0-1")
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["ETag"] == f'"{digest}"'
        assert "Content-Length" not in response.headers


def test_a_condition_tells_nothing_of_what_is_not_here(carol: Person, digest: str) -> None:
    path = f"/v2/acme/other/blobs/{digest}"
    assert_refused(carol.send("GET", path, If_None_Match="*"), Code.BLOB_UNKNOWN)
    other = carol.send("GET", f"/v2/{APP}/blobs/{digest}", If_None_Match='"sha256:0"')
    assert (other.status_code, content_of(other)) == (200, BODY)


@pytest.mark.parametrize(
    "field",
    [
        "bytes=5-2", "bytes=a-b", "bytes=", "bytes=-", "lines=1-2", "bytes 0-1", "bytes=0-1,4-5", "bytes=,",
        "bytes=--1", "0-5", "bytes=\u0661-\u0662", "bytes=0x1-0x2", "bytes=1_0-2_0",
    ],
)  # fmt: skip
def test_a_range_that_makes_no_sense_is_read_over(carol: Person, digest: str, field: str) -> None:
    response = carol.send("GET", f"/v2/{APP}/blobs/{digest}", Range=field)
    assert (response.status_code, content_of(response)) == (200, BODY)


@pytest.mark.parametrize("field", ["bytes=200-", "bytes=200-300", "bytes=-0", f"bytes={10**18}-"])
def test_a_range_behind_the_end_is_refused(carol: Person, digest: str, field: str) -> None:
    response = carol.send("GET", f"/v2/{APP}/blobs/{digest}", Range=field)
    assert_refused(response, Code.RANGE_INVALID)
    assert response.headers["Content-Range"] == "bytes */200"


def test_a_range_of_another_version_is_everything(carol: Person, digest: str) -> None:
    """RFC 9110, 13.1.5: If-Range with another validator switches the range off."""
    path = f"/v2/{APP}/blobs/{digest}"
    other = carol.send("GET", path, Range="bytes=0-9", If_Range='"sha256:0"')
    assert (other.status_code, content_of(other)) == (200, BODY)
    same = carol.send("GET", path, Range="bytes=0-9", If_Range=f'"{digest}"')
    assert (same.status_code, content_of(same)) == (206, BODY[:10])


def test_a_range_with_head_is_read_over(carol: Person, digest: str) -> None:
    response = carol.send("HEAD", f"/v2/{APP}/blobs/{digest}", Range="bytes=0-9")
    assert (response.status_code, response.headers["Content-Length"]) == (200, "200")


def test_it_takes_one_query(carol: Person, digest: str, django_assert_max_num_queries: Any) -> None:
    carol.compares = False
    for method in ("GET", "HEAD"):
        with django_assert_max_num_queries(1, using="registry"):
            carol.send(method, f"/v2/{APP}/blobs/{digest}")


def test_it_refuses_what_is_not_in_this_repository(carol: Person, digest: str) -> None:
    other = images.push_blob("acme/other", images.content())
    manifest = images.push_image(APP, "v1").digest
    for unknown in (other, manifest, f"sha256:{'0' * 64}", f"sha512:{'0' * 128}"):
        for method in ("GET", "HEAD"):
            response = carol.send(method, f"/v2/{APP}/blobs/{unknown}")
            assert response.status_code == 404
        assert_refused(carol.send("GET", f"/v2/{APP}/blobs/{unknown}"), Code.BLOB_UNKNOWN)
    assert_refused(carol.send("GET", f"/v2/acme/none/blobs/{digest}"), Code.BLOB_UNKNOWN)


def test_it_refuses_malformed_digests(carol: Person) -> None:
    for digest in ("latest", "sha256:zz", f"sha256:{'A' * 64}", f"sha256:{'0' * 64}%0a"):
        response = carol.send("GET", f"/v2/{APP}/blobs/{digest}")
        assert_refused(response, Code.DIGEST_INVALID)


def test_lost_bytes_are_unknown_to_everybody(
    alice: Person, carol: Person, digest: str, store: FilesystemStore
) -> None:
    """A HEAD that says "exists" would keep a pusher from healing what is lost."""
    store.delete(digest)
    for person in (alice, carol):
        for method in ("GET", "HEAD"):
            response = person.send(method, f"/v2/{APP}/blobs/{digest}")
            assert response.status_code == 404, (person.subject, method)


def test_bytes_cut_short_are_unknown_to_a_pusher(
    alice: Person, digest: str, store_root: Any
) -> None:
    path = next((store_root / "blobs").rglob(digest.removeprefix("sha256:")))
    path.write_bytes(BODY[:10])
    assert alice.send("HEAD", f"/v2/{APP}/blobs/{digest}").status_code == 404
    images.push_blob(APP, BODY)
    assert content_of(alice.send("GET", f"/v2/{APP}/blobs/{digest}")) == BODY


def test_it_checks_access(
    alice: Person, carol: Person, mallory: Person, nobody: Person, digest: str
) -> None:
    path = f"/v2/{APP}/blobs/{digest}"
    for method in ("GET", "HEAD"):
        assert alice.send(method, path).status_code == 200
        assert carol.send(method, path).status_code == 200
        assert mallory.send(method, path).status_code == 401
    needed = f"repository:{APP}:pull"
    assert_challenged(nobody.send("GET", path), needed)
    assert_challenged(mallory.send("GET", path), needed, "insufficient_scope")


# Deleting


def test_deleting_takes_the_right_away(alice: Person, digest: str) -> None:
    images.push_blob("acme/other", BODY)
    response = alice.send("DELETE", f"/v2/{APP}/blobs/{digest}")
    assert (response.status_code, response.content) == (202, b"")
    assert_refused(alice.send("GET", f"/v2/{APP}/blobs/{digest}"), Code.BLOB_UNKNOWN)
    assert alice.send("GET", f"/v2/acme/other/blobs/{digest}").status_code == 200
    assert RepositoryBlob.objects.count() == 1


def test_deleting_refuses_what_a_manifest_needs(alice: Person) -> None:
    image = images.push_image(APP, "v1")
    for digest in (image.config, image.layers[0]):
        response = alice.send("DELETE", f"/v2/{APP}/blobs/{digest}")
        assert_refused(response, Code.DENIED, 405)
        assert alice.send("GET", f"/v2/{APP}/blobs/{digest}").status_code == 200


def test_deleting_refuses_what_is_not_here(alice: Person, digest: str) -> None:
    path = f"/v2/{APP}/blobs/{digest}"
    alice.send("DELETE", path)
    assert_refused(alice.send("DELETE", path), Code.BLOB_UNKNOWN)
    assert_refused(alice.send("DELETE", f"/v2/acme/no/blobs/{digest}"), Code.BLOB_UNKNOWN)
    assert_refused(alice.send("DELETE", f"/v2/{APP}/blobs/sha256:zz"), Code.DIGEST_INVALID)


def test_deleting_is_off_where_deletion_is_off(alice: Person, digest: str, settings: Any) -> None:
    settings.REGISTRY_DELETE_ENABLED = False
    assert_refused(alice.send("DELETE", f"/v2/{APP}/blobs/{digest}"), Code.UNSUPPORTED)


def test_deleting_checks_access(bob: Person, mallory: Person, nobody: Person, digest: str) -> None:
    path, needed = f"/v2/{APP}/blobs/{digest}", f"repository:{APP}:delete"
    assert_challenged(nobody.send("DELETE", path), needed)
    for person in (bob, mallory):
        assert_challenged(person.send("DELETE", path), needed, "insufficient_scope")
    assert RepositoryBlob.objects.count() == 1


def test_behind_nginx_the_answer_only_names_the_file(
    settings: Any, carol: Person, digest: str, store: FilesystemStore
) -> None:
    settings.REGISTRY_STORAGE = {**settings.REGISTRY_STORAGE, "accel_prefix": "/-/blobs"}
    response = carol.send("GET", f"/v2/{APP}/blobs/{digest}")
    encoded = digest.partition(":")[2]
    assert response.status_code == 200
    assert response.headers["X-Accel-Redirect"] == (
        f"/-/blobs/blobs/sha256/{encoded[:2]}/{encoded[2:4]}/{encoded}"
    )
    assert response.headers["Docker-Content-Digest"] == digest
    assert response.content == b""
    store.delete(digest)
    assert_refused(carol.send("GET", f"/v2/{APP}/blobs/{digest}"), Code.BLOB_UNKNOWN)


@pytest.mark.parametrize("size", [200, 100_000])
@pytest.mark.parametrize("kept", [0, 150, 100_001])
def test_a_file_of_another_size_is_as_good_as_lost(
    carol: Person, store: FilesystemStore, size: int, kept: int
) -> None:
    """Who is told of more bytes than there are waits for the rest; who is told 404 pushes again."""
    digest = images.push_blob(APP, images.content(size))
    path = paths.blob(store.root, digest)
    path.chmod(0o600)
    os.truncate(path, kept)
    for method in ("GET", "HEAD"):
        response = carol.send(method, f"/v2/{APP}/blobs/{digest}")
        assert response.status_code == 404
    assert carol.send("GET", f"/v2/{APP}/blobs/{digest}", Range="bytes=0-9").status_code == 404
