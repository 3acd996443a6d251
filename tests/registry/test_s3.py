"""The registry on the S3 store: redirects, what is asked of the store, and what a crash leaves."""

from __future__ import annotations

import datetime as dt
import itertools
import os
import threading
import uuid
from typing import Any

import httpx
import pytest

from registry import digest as digests
from registry.errors import Code
from registry.media_types import OCI_MANIFEST
from registry.models import Receipt
from registry.services import upload_expiry, uploads
from registry.services.verification import rounds as verification_rounds
from registry.storage import chosen as storage
from registry.storage.base import StorageUnavailable
from registry.storage.s3 import S3Store
from tests.e2e.seaweedfs import ACCESS_KEY, BUCKET, SECRET_KEY, SeaweedFS
from tests.refusals import assert_refused
from tests.registry import images
from tests.registry.base import APP, Person

pytestmark = [
    pytest.mark.engineless,
    pytest.mark.django_db(databases=["registry"]),
    pytest.mark.xdist_group("s3"),
]


@pytest.fixture
def prefix() -> str:
    """This test's part of the bucket."""
    return f"registry/{uuid.uuid4().hex}"


@pytest.fixture(autouse=True)
def _on_s3(s3: SeaweedFS, prefix: str, settings: Any) -> None:
    settings.REGISTRY_STORAGE = {
        "driver": "s3",
        "root": "",
        "redirect": False,
        "s3": {
            "bucket": BUCKET,
            "prefix": prefix,
            "endpoint": s3.endpoint,
            "region": "us-east-1",
            "addressing_style": "auto",
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
        },
    }


@pytest.fixture
def store() -> S3Store:
    """This test's store."""
    current = storage.current()
    assert isinstance(current, S3Store)
    return current


class Asked:
    """Notes what is asked of the store."""

    def __init__(self, store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.operations: list[str] = []
        for client in (store._clients.retrying, store._clients.once):
            monkeypatch.setattr(client, "_make_api_call", self._noting(client._make_api_call))

    def _noting(self, real: Any) -> Any:
        def call(operation: str, given: dict[str, Any]) -> Any:
            self.operations.append(operation)
            return real(operation, given)

        return call


def upload(person: Person, body: bytes) -> str:
    """A blob as docker uploads it; its digest."""
    digest = digests.of(body)
    location = person.send("POST", f"/v2/{APP}/blobs/uploads/")["Location"]
    sent = person.send("PATCH", location, body, chunked=True)
    assert sent.status_code == 202
    assert person.send("PUT", f"{sent['Location']}&digest={digest}").status_code == 201
    return digest


def blob(person: Person, digest: str, **headers: Any) -> Any:
    """The download of a blob."""
    return person.send("GET", f"/v2/{APP}/blobs/{digest}", **headers)


def test_what_an_upload_asks_of_the_store(
    bob: Person, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = Asked(store, monkeypatch)
    upload(bob, b"hello")
    assert asked.operations == [
        "PutObject",  # PATCH: the part
        "CopyObject",  # PUT: before the transaction
        "HeadObject",  # inside it
        "ListObjectsV2",  # and the part goes
        "DeleteObject",
    ]


def test_without_redirect_the_registry_streams(bob: Person, carol: Person) -> None:
    body = os.urandom(3_000_000)
    digest = upload(bob, body)
    whole = blob(carol, digest)
    assert (whole.status_code, b"".join(whole.streaming_content)) == (200, body)
    part = blob(carol, digest, Range="bytes=1000000-2000000")
    assert part.status_code == 206
    assert b"".join(part.streaming_content) == body[1_000_000:2_000_001]
    assert part["Content-Length"] == "1000001"


def test_a_redirect_carries_the_right_and_not_the_token(
    bob: Person, carol: Person, nobody: Person, settings: Any
) -> None:
    settings.REGISTRY_STORAGE = {**settings.REGISTRY_STORAGE, "redirect": True}
    digest = upload(bob, b"hello world")
    answer = blob(carol, digest)
    assert answer.status_code == 307
    assert answer.content == b""
    assert answer["Cache-Control"] == "private, no-store"
    address = answer["Location"]
    assert httpx.get(address).content == b"hello world"
    assert httpx.get(address, headers={"Range": "bytes=-5"}).content == b"world"
    token = carol.token_for(f"/v2/{APP}/blobs/{digest}")
    assert token
    assert token not in address
    assert SECRET_KEY not in str(answer.headers)
    # Who may not pull gets no address, and HEAD is answered here.
    assert blob(nobody, digest).status_code == 401
    assert_refused(blob(carol, digests.of(b"other")), Code.BLOB_UNKNOWN, status=404)
    head = carol.send("HEAD", f"/v2/{APP}/blobs/{digest}")
    assert (head.status_code, head["Content-Length"]) == (200, "11")


def test_behind_nginx_the_answer_only_names_the_object(
    bob: Person, carol: Person, nobody: Person, settings: Any, s3: Any
) -> None:
    """nginx makes the second request; the address is signed, and only its own machine gets it."""
    digest = upload(bob, b"hello world")
    settings.REGISTRY_STORAGE = {**settings.REGISTRY_STORAGE, "accel_prefix": "/-/store"}
    answer = blob(carol, digest)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer["ETag"] == f'"{digest}"'
    location = answer["X-Accel-Redirect"]
    assert location.startswith("/-/store/")
    assert carol.token_for(f"/v2/{APP}/blobs/{digest}") not in location
    assert SECRET_KEY not in location
    fetched = httpx.get(s3.endpoint + location.removeprefix("/-/store"))
    assert fetched.content == b"hello world"
    assert blob(nobody, digest).status_code == 401
    # The store's own ETag is another: a condition on ours is judged here.
    part = blob(carol, digest, Range="bytes=6-", If_Range=f'"{digest}"')
    assert (part.status_code, b"".join(part.streaming_content)) == (206, b"world")
    past = blob(carol, digest, Range="bytes=99-")
    assert_refused(past, Code.RANGE_INVALID, status=416)


def test_several_ranges_ask_the_store_once_where_they_are_near(
    carol: Person, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = os.urandom(300_000)
    digest = images.push_blob(APP, body)
    asked = Asked(store, monkeypatch)
    response = blob(carol, digest, Range="bytes=10-19,1000-1009,290000-290009,5-6")
    assert response.status_code == 206
    content = b"".join(response.streaming_content)
    for start, end in ((10, 20), (1000, 1010), (290_000, 290_010), (5, 7)):
        head = f"Content-Range: bytes {start}-{end - 1}/300000\r\n\r\n".encode()
        assert head + body[start:end] + b"\r\n--" in content
    assert asked.operations == ["GetObject"] * 3


def test_a_manifest_asks_for_all_its_blobs_side_by_side(
    bob: Person, store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    layers = [os.urandom(10) for _ in range(16)]
    config = b'{"architecture": "amd64", "os": "linux"}'
    for body in [config, *layers]:
        upload(bob, body)
    real = store._bucket.head
    numbers, together = itertools.count(), threading.Barrier(5)

    def meeting(key: str) -> Any:
        # Questions that came one after the other would never meet.
        if next(numbers) < together.parties:
            together.wait(60)
        return real(key)

    monkeypatch.setattr(store._bucket, "head", meeting)
    payload = images.encoded(images.document(config, layers))
    sent = bob.send("PUT", f"/v2/{APP}/manifests/1", payload, content_type=OCI_MANIFEST)
    assert sent.status_code == 201, sent.content


def test_a_manifest_whose_blob_is_gone_is_refused(bob: Person, store: S3Store) -> None:
    config, layer = b"{}", b"layer"
    for body in (config, layer):
        upload(bob, body)
    assert bob.send("HEAD", f"/v2/{APP}/blobs/{digests.of(layer)}").status_code == 200
    store.delete(digests.of(layer))
    payload = images.encoded(images.document(config, [layer]))
    sent = bob.send("PUT", f"/v2/{APP}/manifests/1", payload, content_type=OCI_MANIFEST)
    assert_refused(sent, Code.MANIFEST_BLOB_UNKNOWN)
    assert bob.send("HEAD", f"/v2/{APP}/blobs/{digests.of(layer)}").status_code == 404


def test_a_store_in_trouble_leaves_the_session(
    bob: Person, store: S3Store, s3: SeaweedFS, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    location = bob.send("POST", f"/v2/{APP}/blobs/uploads/")["Location"]
    assert bob.send("PATCH", location, b"hello").status_code == 202
    finish = f"{location}&digest={digests.of(b'hello')}"

    def fail(*arguments: Any, **options: Any) -> None:
        raise StorageUnavailable("no")

    for step in ("stage", "commit"):
        with monkeypatch.context() as patch:
            patch.setattr(store, step, fail)
            assert_refused(bob.send("PUT", finish), Code.UNAVAILABLE, status=503)
    assert bob.send("PUT", finish).status_code == 201
    assert len(s3.objects(prefix)) == 1


def test_what_a_crash_has_left_is_swept_once_an_hour(
    bob: Person, store: S3Store, s3: SeaweedFS, prefix: str, clock: Any,
    monkeypatch: pytest.MonkeyPatch, settings: Any,
) -> None:  # fmt: skip
    settings.REGISTRY_UPLOAD_EXPIRY = dt.timedelta(days=30)
    location = bob.send("POST", f"/v2/{APP}/blobs/uploads/")["Location"]
    assert bob.send("PATCH", location, b"counted").status_code == 202
    store.write(uuid.uuid4(), [b"of a session that is gone"])
    monkeypatch.setattr(upload_expiry, "_next_sweep", [0.0])
    assert upload_expiry.sweep_left() == 0  # too young
    clock.advance(days=31)
    assert upload_expiry.sweep_left() == 0  # not again so soon
    monkeypatch.setattr(upload_expiry, "_next_sweep", [0.0])
    assert upload_expiry.sweep_left() == 1
    assert list(s3.objects(prefix).values()) == [len(b"counted")]


def test_a_copy_that_a_crash_has_left_is_swept(store: S3Store, clock: Any, settings: Any) -> None:
    """Copied to where blobs are, and died before its row: the slow round removes it, later."""
    settings.REGISTRY_GC_REVIEW_DELAY = settings.UNDO_WINDOW = dt.timedelta(hours=1)
    image = images.push_image(APP, "v1")
    session = uploads.start(APP, images.ALICE)
    part = store.write(session.pk, [b"left by a crash"])
    store.stage(session.pk, part, part.digest)

    def whole_round() -> None:
        while not verification_rounds.slice_of_schedule(100)[0].finished_at:
            pass

    whole_round()
    assert store.size(part.digest) == part.size
    clock.advance(hours=3)
    whole_round()
    assert store.size(part.digest) is None
    assert verification_rounds.kept() == []
    receipt = Receipt.objects.get()
    assert (receipt.kind, receipt.digest, receipt.bytes) == ("file", part.digest, part.size)
    for digest in (image.config, *image.layers):
        assert store.size(digest)
