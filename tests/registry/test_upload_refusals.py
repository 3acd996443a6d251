"""Uploads that are refused, and what they leave: where it stands, and no bytes."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest

from registry.errors import Code
from registry.models import Blob, Repository, UploadSession
from registry.storage.filesystem import FilesystemStore
from tests.refusals import assert_refused
from tests.registry.base import APP, Person
from tests.registry.uploading import (
    UPLOADS,
    assert_created,
    assert_no_folders,
    digest_of,
    parts,
    start,
)

pytestmark = pytest.mark.django_db(databases=["registry"])


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
    assert not UploadSession.objects.exists()


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


@pytest.mark.parametrize(
    "name", ["md5", "SHA512", "blake3", "sha512%0A", "sha256&digest-algorithm=sha256"]
)
def test_an_unknown_algorithm_is_refused(bob: Person, name: str) -> None:
    response = bob.send("POST", f"{UPLOADS}?digest-algorithm={name}")
    assert_refused(response, Code.DIGEST_INVALID)
    assert not UploadSession.objects.exists()


def test_a_wrong_digest_in_one_request_leaves_nothing(bob: Person, store_root: Path) -> None:
    response = bob.send("POST", f"{UPLOADS}?digest=sha256:{'0' * 64}", b"hello")
    assert_refused(response, Code.DIGEST_INVALID)
    assert not UploadSession.objects.exists()
    assert not Repository.objects.exists()
    assert_no_folders(store_root)


@pytest.mark.parametrize("wrong", ["sha256:" + "0" * 64, "sha512:" + "0" * 128])
def test_a_wrong_digest_makes_nobody_write(
    bob: Person, store: FilesystemStore, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    """An empty PUT costs its sender nothing: it must not let the node write gigabytes."""
    location = start(bob)
    for piece in (b"hello", b" ", b"world"):
        bob.send("PATCH", location, piece)
    written: list[int] = []
    write = FilesystemStore.write

    def note(*arguments: Any, **named: Any) -> Any:
        part = write(*arguments, **named)
        written.append(part.size)
        return part

    monkeypatch.setattr(FilesystemStore, "write", note)
    for _ in range(3):
        assert_refused(bob.send("PUT", f"{location}&digest={wrong}"), Code.DIGEST_INVALID)
    assert written == []
    digest = digest_of(b"hello world", wrong.partition(":")[0])
    assert_created(bob.send("PUT", f"{location}&digest={digest}"), digest)
    assert written == [11]


def test_one_part_is_never_written_again(bob: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    location = start(bob)
    bob.send("PATCH", location, b"hello")
    monkeypatch.setattr(FilesystemStore, "write", None)
    digest = digest_of(b"hello", "sha512")
    assert_created(bob.send("PUT", f"{location}&digest={digest}"), digest)


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


def test_a_length_over_the_limit_is_refused_before_the_body(bob: Person, settings: Any) -> None:
    """Nobody sends a terabyte to be told so at its end."""
    settings.REGISTRY_MAX_BLOB_SIZE = 8
    location = start(bob)
    bob.send("PATCH", location, b"hello")
    for method, address, length in (
        ("PATCH", location, 4),
        ("PUT", f"{location}&digest={digest_of(b'')}", 4),
        ("POST", f"{UPLOADS}?digest={digest_of(b'')}", 9),
    ):
        body = Untouched()
        response = send_stream(bob, method, address, body, {"CONTENT_LENGTH": str(length)})
        assert_refused(response, Code.SIZE_INVALID, 413)
    chunked = {"HTTP_TRANSFER_ENCODING": "chunked", "HTTP_CONTENT_RANGE": "5-8"}
    response = send_stream(bob, "PATCH", location, Untouched(), chunked)
    assert_refused(response, Code.SIZE_INVALID, 413)


class Untouched(io.BytesIO):
    """A stream that nobody may read."""

    def read(self, size: int | None = -1, /) -> bytes:
        raise AssertionError("the body was read")


def send_stream(
    person: Person, method: str, address: str, body: io.BytesIO, more: dict[str, str]
) -> Any:
    """A request whose body is `body`, whatever its fields say."""
    return person.generic(
        method,
        address,
        b"",
        **{
            "HTTP_AUTHORIZATION": f"Bearer {person.token_for(address)}",
            "wsgi.input": body,
            **more,
        },
    )


@pytest.mark.parametrize(
    "codings", ["gzip, chunked", "chunked, gzip", "gzip", "identity", "xchunked", "chunked,chunked"]
)
def test_a_body_in_another_coding_is_refused(bob: Person, codings: str, store_root: Path) -> None:
    location = start(bob)
    more = {"HTTP_TRANSFER_ENCODING": codings}
    for method, address in (
        ("PATCH", location),
        ("PUT", f"{location}&digest={digest_of(b'')}"),
        ("POST", f"{UPLOADS}?digest={digest_of(b'')}"),
        ("PUT", f"/v2/{APP}/manifests/v1"),
    ):
        response = send_stream(bob, method, address, Untouched(), more)
        assert_refused(response, Code.UNSUPPORTED, 501)
    assert not parts(store_root)
    plain = send_stream(
        bob, "PATCH", location, io.BytesIO(b"x"), {"HTTP_TRANSFER_ENCODING": "Chunked"}
    )
    assert plain.status_code == 202
