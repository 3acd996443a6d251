"""end-4a, 4b, 5, 6, 13, 14: uploads in one request, in two, streamed and in chunks."""

from __future__ import annotations

import datetime as dt
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.errors import Code, RegistryError
from registry.models import Blob, RepositoryBlob, UploadSession
from registry.services import repositories, uploads
from registry.storage.base import StorageFull, StorageUnavailable
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.base import APP, Person, assert_challenged, assert_refused, content_of

pytestmark = pytest.mark.django_db(databases=["registry"])

UPLOADS = f"/v2/{APP}/blobs/uploads/"


def digest_of(body: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def start(person: Person, name: str = APP) -> str:
    """The address of a new session."""
    response = person.send("POST", f"/v2/{name}/blobs/uploads/")
    assert response.status_code == 202
    location: str = response.headers["Location"]
    return location


def parts(root: Path) -> list[Path]:
    """What lies in the folder of uploads."""
    return [path for path in (root / "uploads").rglob("*") if path.is_file()]


def assert_no_folders(root: Path) -> None:
    """Not even an empty folder of an upload is left."""
    assert not list((root / "uploads").glob("*/*"))


def assert_created(response: Any, digest: str, name: str = APP) -> None:
    assert response.status_code == 201, response.content
    assert response.content == b""
    assert response.headers["Location"] == f"/v2/{name}/blobs/{digest}"
    assert response.headers["Docker-Content-Digest"] == digest


# Each way


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


# Asking and cancelling


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


# Refusals


@pytest.mark.parametrize("field", ["10-14", "4-8", "6-10", "0-4"])
def test_out_of_order_is_refused_with_where_it_stands(
    bob: Person, field: str, store_root: Path
) -> None:
    location = start(bob)
    bob.send("PATCH", location, b"hello")
    for method, address in (
        ("PATCH", location),
        ("PUT", f"{location}&digest={digest_of(b'hellohello')}"),
    ):
        response = bob.send(method, address, b"hello", Content_Range=field)
        assert_refused(response, Code.RANGE_INVALID)
        assert response.headers["Range"] == "0-4"
        assert response.headers["Location"] == location
    assert len(parts(store_root)) == 1
    assert bob.send("GET", location).headers["Range"] == "0-4"


@pytest.mark.parametrize(
    "field",
    ["bytes 0-4/5", "-5", "0-", "a-b", "5-0", "0-4,5-9", "0--4", "\u0660-\u0664", f"0-{10**30}"],
)
def test_a_malformed_range_is_refused(bob: Person, field: str) -> None:
    location = start(bob)
    response = bob.send("PATCH", location, b"hello", Content_Range=field)
    assert_refused(response, Code.RANGE_INVALID)
    assert bob.send("GET", location).headers["Range"] == "0-0"


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("field", ["0-9", "0-3"])
def test_a_range_of_another_length_is_refused(
    bob: Person, chunked: bool, field: str, store_root: Path
) -> None:
    location = start(bob)
    response = bob.send("PATCH", location, b"hello", chunked=chunked, Content_Range=field)
    assert_refused(response, Code.SIZE_INVALID)
    assert bob.send("GET", location).headers["Range"] == "0-0"
    assert not parts(store_root)


def cut_short(person: Person, method: str, address: str, body: bytes, announced: int) -> Any:
    return person.generic(
        method,
        address,
        b"",
        **{
            "HTTP_AUTHORIZATION": f"Bearer {person.token_for(address)}",
            "CONTENT_LENGTH": str(announced),
            "wsgi.input": io.BytesIO(body),
        },
    )


def test_a_body_cut_short_is_refused(bob: Person, store_root: Path) -> None:
    location = start(bob)
    for method, address in (
        ("PATCH", location),
        ("PUT", f"{location}&digest={digest_of(b'hello')}"),
        ("POST", f"{UPLOADS}?digest={digest_of(b'hello')}"),
    ):
        response = cut_short(bob, method, address, b"hello", 6)
        assert_refused(response, Code.SIZE_INVALID)
        assert not parts(store_root)
    assert bob.send("GET", location).headers["Range"] == "0-0"
    assert not Blob.objects.exists()
    assert UploadSession.objects.count() == 1


class Broken(io.BytesIO):
    """A stream that breaks off, as an application server's does."""

    def read(self, size: int | None = -1, /) -> bytes:
        piece = super().read(size)
        if not piece:
            raise OSError("the peer has gone")
        return piece


def test_a_connection_that_breaks_off_is_refused(bob: Person, store_root: Path) -> None:
    location = start(bob)
    assert bob.send("PATCH", location, chunked=True).status_code == 202
    response = bob.generic(
        "PATCH",
        location,
        b"",
        **{
            "HTTP_AUTHORIZATION": f"Bearer {bob.token_for(location)}",
            "HTTP_TRANSFER_ENCODING": "chunked",
            "wsgi.input": Broken(b"hello"),
        },
    )
    assert_refused(response, Code.SIZE_INVALID)
    assert not parts(store_root)


def test_a_wrong_digest_leaves_the_session(bob: Person, store_root: Path) -> None:
    body = b"hello world"
    location = start(bob)
    bob.send("PATCH", location, b"hello")
    for wrong in (f"sha256:{'0' * 64}", digest_of(b"hello"), f"sha512:{'0' * 128}"):
        response = bob.send("PUT", f"{location}&digest={wrong}", b" moon")
        assert_refused(response, Code.DIGEST_INVALID)
        assert len(parts(store_root)) == 1
    assert bob.send("GET", location).headers["Range"] == "0-4"
    assert_created(
        bob.send("PUT", f"{location}&digest={digest_of(body)}", b" world"), digest_of(body)
    )


@pytest.mark.parametrize(
    "query", ["", "&digest=", "&digest=sha256:zz", "&digest=md5:00", "&digest={0}&digest={0}"]
)
def test_a_malformed_digest_leaves_the_session(bob: Person, query: str) -> None:
    location, digest = start(bob), digest_of(b"hello")
    response = bob.send("PUT", location + query.format(digest), b"hello")
    assert_refused(response, Code.DIGEST_INVALID)
    assert_created(bob.send("PUT", f"{location}&digest={digest}", b"hello"), digest)


def test_a_wrong_digest_in_one_request_leaves_nothing(bob: Person, store_root: Path) -> None:
    response = bob.send("POST", f"{UPLOADS}?digest=sha256:{'0' * 64}", b"hello")
    assert_refused(response, Code.DIGEST_INVALID)
    assert not UploadSession.objects.exists()
    assert not parts(store_root)


def test_a_repeated_put_answers_the_same(bob: Person) -> None:
    location, digest = start(bob), digest_of(b"hello")
    address = f"{location}&digest={digest}"
    assert_created(bob.send("PUT", address, b"hello"), digest)
    assert_created(bob.send("PUT", address, b"hello"), digest)
    other = f"{location}&digest={digest_of(b'other')}"
    assert_refused(bob.send("PUT", other, b"other"), Code.DIGEST_INVALID)
    for method in ("PATCH", "DELETE"):
        assert_refused(bob.send(method, location, b"x"), Code.BLOB_UPLOAD_UNKNOWN)


def test_a_blob_that_is_too_large_is_refused(bob: Person, settings: Any, store_root: Path) -> None:
    settings.REGISTRY_MAX_BLOB_SIZE = 8
    location = start(bob)
    assert bob.send("PATCH", location, b"hello").status_code == 202
    for method, address in (
        ("PATCH", location),
        ("PUT", f"{location}&digest={digest_of(b'hellohello')}"),
    ):
        response = bob.send(method, address, b"hello")
        assert_refused(response, Code.SIZE_INVALID, 413)
    assert len(parts(store_root)) == 1
    assert_created(
        bob.send("PUT", f"{location}&digest={digest_of(b'helloyou')}", b"you"),
        digest_of(b"helloyou"),
    )


# Whose session


def test_a_session_belongs_to_its_repository_and_its_actor(bob: Person, alice: Person) -> None:
    location = start(bob)
    for method in ("GET", "PATCH", "DELETE"):
        assert_refused(alice.send(method, location, b"x"), Code.BLOB_UPLOAD_UNKNOWN)
        elsewhere = location.replace(APP, "acme/other")
        assert_refused(bob.send(method, elsewhere, b"x"), Code.BLOB_UPLOAD_UNKNOWN)
    digest = digest_of(b"x")
    assert_refused(alice.send("PUT", f"{location}&digest={digest}", b"x"), Code.BLOB_UPLOAD_UNKNOWN)
    assert bob.send("GET", location).headers["Range"] == "0-0"


def test_a_tampered_address_is_unknown(bob: Person) -> None:
    location, other = start(bob), start(bob)
    state = location.rpartition("=")[2]
    flipped = state[:-1] + ("0" if state[-1] != "0" else "1")
    tampered = [
        location.partition("?")[0],
        location.replace(state, ""),
        location.replace(state, flipped),
        location.replace(state, other.rpartition("=")[2]),
        location.replace(state, "é"),
        location.replace(state, "%00"),
        location.replace(location.split("/")[-1].partition("?")[0], "x"),
        location.upper().replace("/V2/ACME/APP/BLOBS/UPLOADS", f"/v2/{APP}/blobs/uploads"),
    ]
    for address in tampered:
        for method in ("GET", "PATCH", "DELETE"):
            response = bob.send(method, address, b"x")
            assert_refused(response, Code.BLOB_UPLOAD_UNKNOWN)


def test_a_session_ends(bob: Person, clock: Any) -> None:
    location = start(bob)
    clock.advance(days=8)
    assert_refused(bob.send("PATCH", location, b"x"), Code.BLOB_UPLOAD_UNKNOWN)
    assert uploads.purge_expired(10) == 1


def test_a_patch_prolongs_a_session(bob: Person, clock: Any) -> None:
    location = start(bob)
    clock.advance(days=6)
    bob.send("PATCH", location, b"x")
    clock.advance(days=6)
    assert bob.send("PATCH", location, b"x").status_code == 202


def test_purging_removes_bytes(bob: Person, clock: Any, store_root: Path) -> None:
    bob.send("PATCH", start(bob), b"hello")
    clock.advance(days=8)
    alive = start(bob)
    bob.send("PATCH", alive, b"hello")
    assert uploads.purge_expired(10) == 1
    assert len(parts(store_root)) == 1
    assert bob.send("GET", alive).headers["Range"] == "0-4"


def test_a_session_ends_with_its_repository(bob: Person) -> None:
    location = start(bob)
    repositories.close(APP, images.ALICE)
    digest = digest_of(b"x")
    response = bob.send("PUT", f"{location}&digest={digest}", b"x")
    assert_refused(response, Code.BLOB_UPLOAD_UNKNOWN)
    images.push_blob(APP, b"y")
    response = bob.send("PUT", f"{location}&digest={digest}", b"x")
    assert_refused(response, Code.BLOB_UPLOAD_UNKNOWN)


def test_it_checks_access(
    bob: Person, carol: Person, mallory: Person, nobody: Person, store_root: Path
) -> None:
    needed = f"repository:{APP}:pull,push"
    location = start(bob)
    for method, address in (
        ("POST", UPLOADS),
        ("GET", location),
        ("PATCH", location),
        ("PUT", location),
        ("DELETE", location),
    ):
        assert_challenged(nobody.send(method, address, b"x"), needed)
        for person in (carol, mallory):
            response = person.send(method, address, b"x")
            assert_challenged(response, needed, "insufficient_scope")
    assert not parts(store_root)
    assert bob.send("GET", location).status_code == 204


def test_an_expired_token_leaves_the_session(bob: Person) -> None:
    location = start(bob)
    bob.send("PATCH", location, b"hello")
    assert_challenged(
        bob.send("PATCH", location, b"x", token="not.a.token"),
        f"repository:{APP}:pull,push",
        "invalid_token",
    )
    assert bob.send("GET", location).headers["Range"] == "0-4"


# When the store fails, and what another request does meanwhile


@pytest.mark.parametrize("failure", [StorageFull, StorageUnavailable])
def test_a_store_that_fails_leaves_the_session_and_no_parts(
    bob: Person,
    store: FilesystemStore,
    store_root: Path,
    monkeypatch: pytest.MonkeyPatch,
    failure: type[Exception],
) -> None:
    location = start(bob)
    bob.send("PATCH", location, b"hello")
    address = f"{location}&digest={digest_of(b'hello world')}"
    for step in ("join", "stage", "commit"):
        with monkeypatch.context() as patch:

            def fail(*arguments: Any, **options: Any) -> None:
                raise failure("no")

            patch.setattr(store, step, fail)
            response = bob.send("PUT", address, b" world")
        assert_refused(response, Code.UNAVAILABLE, 507 if failure is StorageFull else 503)
        assert len(parts(store_root)) == 1, step
    assert_created(bob.send("PUT", address, b" world"), digest_of(b"hello world"))
    assert not parts(store_root)


def test_a_session_that_is_cancelled_meanwhile_is_unknown(store_root: Path) -> None:
    """A PATCH or PUT under way when another request cancels: a refusal, and nothing left."""
    for ending in ("append", "commit"):
        session = uploads.start(APP, images.ALICE)
        other = uploads.find(APP, session.pk, images.ALICE)

        def chunks(other: UploadSession = other) -> Iterator[bytes]:
            yield b"hello"
            uploads.cancel(other)

        digest = () if ending == "append" else (digest_of(b"hello"),)
        with pytest.raises(RegistryError) as refused:
            getattr(uploads, ending)(session, *digest, chunks(), None)
        assert refused.value.code is Code.BLOB_UPLOAD_UNKNOWN
        assert_no_folders(store_root)


def test_a_session_that_is_cancelled_before_the_write_is_unknown(store_root: Path) -> None:
    session = uploads.start(APP, images.ALICE)
    uploads.cancel(uploads.find(APP, session.pk, images.ALICE))
    with pytest.raises(RegistryError) as refused:
        uploads.append(session, [b"hello"], None)
    assert refused.value.code is Code.BLOB_UPLOAD_UNKNOWN
    with pytest.raises(RegistryError) as refused:
        uploads.commit(session, digest_of(b"hello"), [b"hello"], None)
    assert refused.value.code is Code.BLOB_UPLOAD_UNKNOWN
    assert_no_folders(store_root)


def test_a_session_that_is_committed_meanwhile_answers_the_same(store_root: Path) -> None:
    """Two PUTs at once, as after a client's timeout: both are told that the blob is there."""
    session = uploads.start(APP, images.ALICE)
    other = uploads.find(APP, session.pk, images.ALICE)

    def chunks() -> Iterator[bytes]:
        yield b"hello"
        uploads.commit(other, digest_of(b"hello"), [b"hello"], None)

    uploads.commit(session, digest_of(b"hello"), chunks(), None)
    assert_no_folders(store_root)
    assert Blob.objects.count() == 1


def test_two_appends_at_once_count_once(store_root: Path) -> None:
    session = uploads.start(APP, images.ALICE)
    other = uploads.find(APP, session.pk, images.ALICE)

    def chunks() -> Iterator[bytes]:
        yield b"hello"
        uploads.append(other, [b"world!"], 0)

    with pytest.raises(RegistryError) as refused:
        uploads.append(session, chunks(), 0)
    assert refused.value.code is Code.RANGE_INVALID
    assert session.offset == 6
    assert len(parts(store_root)) == 1
    uploads.commit(session, digest_of(b"world!"), [], None)


def test_lost_parts_are_unknown_and_leave_nothing(bob: Person, store_root: Path) -> None:
    location = start(bob)
    bob.send("PATCH", location, b"hello")
    for path in parts(store_root):
        path.unlink()
    address = f"{location}&digest={digest_of(b'hello world')}"
    assert_refused(bob.send("PUT", address, b" world"), Code.BLOB_UPLOAD_UNKNOWN)
    assert not parts(store_root)


def test_a_commit_heals_lost_bytes(bob: Person, store: FilesystemStore) -> None:
    body = images.content()
    digest = images.push_blob(APP, body)
    store.delete(digest)
    images.push_blob(APP, body)
    assert content_of(bob.send("GET", f"/v2/{APP}/blobs/{digest}")) == body


def test_expiry_is_far_enough() -> None:
    session = uploads.start(APP, images.ALICE)
    assert session.expires_at - session.created_at >= dt.timedelta(days=6)
