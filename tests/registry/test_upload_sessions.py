"""Upload sessions: whose they are, when they end, and what a failing store or another
request does.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.errors import Code, RegistryError
from registry.models import Blob, UploadSession
from registry.services import repositories, upload_expiry, uploads
from registry.storage.base import StorageFull, StorageUnavailable
from registry.storage.filesystem import FilesystemStore
from tests.refusals import assert_challenged, assert_refused
from tests.registry import images
from tests.registry.base import APP, Person, content_of
from tests.registry.uploading import (
    UPLOADS,
    assert_created,
    assert_no_folders,
    digest_of,
    parts,
    start,
)

pytestmark = pytest.mark.django_db(databases=["registry"])


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
    # Nothing was ever written of it.
    assert upload_expiry.purge_expired(10) == 0
    location = start(bob)
    bob.send("PATCH", location, b"x")
    clock.advance(days=8)
    assert_refused(bob.send("PATCH", location, b"x"), Code.BLOB_UPLOAD_UNKNOWN)
    assert upload_expiry.purge_expired(10) == 1


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
    assert upload_expiry.purge_expired(10) == 1
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
        other = uploads.find(APP, images.as_told(session), images.ALICE)

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
    uploads.cancel(uploads.find(APP, images.as_told(session), images.ALICE))
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
    other = uploads.find(APP, images.as_told(session), images.ALICE)

    def chunks() -> Iterator[bytes]:
        yield b"hello"
        uploads.commit(other, digest_of(b"hello"), [b"hello"], None)

    uploads.commit(session, digest_of(b"hello"), chunks(), None)
    assert_no_folders(store_root)
    assert Blob.objects.count() == 1


def test_two_appends_at_once_count_once(store_root: Path) -> None:
    session = uploads.start(APP, images.ALICE)
    other = uploads.find(APP, images.as_told(session), images.ALICE)

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
