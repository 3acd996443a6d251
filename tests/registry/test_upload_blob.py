"""end-4a, 4b, 5, 6, 13, 14: uploads in one request, in two, streamed and in chunks."""

from __future__ import annotations

from pathlib import Path

import pytest

from registry.errors import Code
from registry.models import Blob, RepositoryBlob
from registry.storage.filesystem import FilesystemStore
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, content_of
from tests.registry.uploading import (
    UPLOADS,
    assert_created,
    digest_of,
    parts,
    start,
)

pytestmark = pytest.mark.django_db(databases=["registry"])


def test_post_with_digest_works(bob: Person, store_root: Path) -> None:
    body = images.content()
    assert_created(bob.send("POST", f"{UPLOADS}?digest={digest_of(body)}", body), digest_of(body))
    assert content_of(bob.send("GET", f"/v2/{APP}/blobs/{digest_of(body)}")) == body
    assert not parts(store_root)


def test_post_then_put_works(bob: Person, store_root: Path) -> None:
    body = images.content()
    response = bob.send("POST", UPLOADS)
    assert response.status_code == 202
    assert response.headers["Range"] == "0-0"
    assert response.headers["Docker-Upload-UUID"] in response.headers["Location"]
    assert "OCI-Chunk-Min-Length" in response.headers
    location = response.headers["Location"]
    assert_created(bob.send("PUT", f"{location}&digest={digest_of(body)}", body), digest_of(body))
    assert not parts(store_root)


@pytest.mark.parametrize("chunked", [False, True])
def test_streamed_works(bob: Person, chunked: bool) -> None:
    """As docker does: one PATCH without a range, then an empty PUT."""
    body = images.content(3 * 1024 * 1024)
    response = bob.send("PATCH", start(bob), body, chunked=chunked)
    assert response.status_code == 202
    assert response.headers["Range"] == f"0-{len(body) - 1}"
    location = response.headers["Location"]
    assert_created(bob.send("PUT", f"{location}&digest={digest_of(body)}"), digest_of(body))
    assert content_of(bob.send("GET", f"/v2/{APP}/blobs/{digest_of(body)}")) == body


@pytest.mark.parametrize("last_in_put", [False, True])
def test_chunks_in_order_work(bob: Person, last_in_put: bool, store_root: Path) -> None:
    pieces = [b"hello", b" ", b"world" * 50_000]
    body = b"".join(pieces)
    location, offset = start(bob), 0
    for number, piece in enumerate(pieces):
        field = f"{offset}-{offset + len(piece) - 1}"
        if last_in_put and number == len(pieces) - 1:
            address = f"{location}&digest={digest_of(body)}"
            assert_created(bob.send("PUT", address, piece, Content_Range=field), digest_of(body))
            break
        response = bob.send("PATCH", location, piece, Content_Range=field)
        assert response.status_code == 202
        offset += len(piece)
        assert response.headers["Range"] == f"0-{offset - 1}"
        location = response.headers["Location"]
    else:
        assert_created(bob.send("PUT", f"{location}&digest={digest_of(body)}"), digest_of(body))
    assert content_of(bob.send("GET", f"/v2/{APP}/blobs/{digest_of(body)}")) == body
    assert not parts(store_root)


def test_sha512_works(bob: Person) -> None:
    body = images.content()
    digest = digest_of(body, "sha512")
    assert_created(bob.send("POST", f"{UPLOADS}?digest={digest}", body), digest)
    location = bob.send("PATCH", start(bob), body).headers["Location"]
    assert_created(bob.send("PUT", f"{location}&digest={digest}"), digest)
    assert content_of(bob.send("GET", f"/v2/{APP}/blobs/{digest}")) == body
    assert bob.send("GET", f"/v2/{APP}/blobs/{digest_of(body)}").status_code == 404


def test_an_algorithm_may_be_named_ahead(bob: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """end-4c: then the bytes are hashed by it as they come, and are not read again at the end."""
    monkeypatch.setattr(FilesystemStore, "join", None)
    monkeypatch.setattr(FilesystemStore, "digest", None, raising=False)
    body = images.content()
    digest = digest_of(body, "sha512")
    location = bob.send("POST", f"{UPLOADS}?digest-algorithm=sha512").headers["Location"]
    assert bob.send("PATCH", location, body).status_code == 202
    assert_created(bob.send("PUT", f"{location}&digest={digest}"), digest)


def test_another_digest_than_was_named_works(bob: Person) -> None:
    body = images.content()
    location = bob.send("POST", f"{UPLOADS}?digest-algorithm=sha512").headers["Location"]
    bob.send("PATCH", location, body)
    assert_created(bob.send("PUT", f"{location}&digest={digest_of(body)}"), digest_of(body))


def test_an_empty_blob_works(bob: Person) -> None:
    digest = digest_of(b"")
    assert_created(bob.send("PUT", f"{start(bob)}&digest={digest}"), digest)
    assert_created(bob.send("POST", f"{UPLOADS}?digest={digest}"), digest)
    response = bob.send("GET", f"/v2/{APP}/blobs/{digest}")
    assert (content_of(response), response.headers["Content-Length"]) == (b"", "0")


def test_the_same_blob_twice_is_one_blob(bob: Person) -> None:
    body = images.content()
    for name in (APP, APP, "acme/other"):
        images.push_blob(name, body)
    assert (Blob.objects.count(), RepositoryBlob.objects.count()) == (1, 2)


def test_bytes_are_taken_as_they_are(bob: Person) -> None:
    """No form is read, nothing is unpacked."""
    body = b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n1\r\n--x--'
    response = bob.send(
        "PATCH",
        start(bob),
        body,
        content_type="multipart/form-data; boundary=x",
        Content_Encoding="gzip",
    )
    location = response.headers["Location"]
    assert_created(bob.send("PUT", f"{location}&digest={digest_of(body)}"), digest_of(body))


def test_status_says_where_it_stands(bob: Person) -> None:
    location = start(bob)
    response = bob.send("GET", location)
    assert (response.status_code, response.headers["Range"]) == (204, "0-0")
    assert "Content-Length" not in response.headers
    bob.send("PATCH", location, b"hello")
    response = bob.send("GET", location)
    assert response.headers["Range"] == "0-4"
    assert response.headers["Location"] == location
    assert bob.send("PATCH", location, b" world", Content_Range="5-10").status_code == 202


def test_an_empty_patch_changes_nothing(bob: Person, store_root: Path) -> None:
    location = start(bob)
    bob.send("PATCH", location, b"hello")
    response = bob.send("PATCH", location, b"")
    assert (response.status_code, response.headers["Range"]) == (202, "0-4")
    assert len(parts(store_root)) == 1


def test_cancel_removes_everything(bob: Person, store_root: Path) -> None:
    location = start(bob)
    bob.send("PATCH", location, b"hello")
    assert bob.send("DELETE", location).status_code == 204
    assert not parts(store_root)
    for method in ("GET", "PATCH", "DELETE"):
        assert_refused(bob.send(method, location), Code.BLOB_UPLOAD_UNKNOWN)
    assert_refused(bob.send("PUT", f"{location}&digest={digest_of(b'')}"), Code.BLOB_UPLOAD_UNKNOWN)
