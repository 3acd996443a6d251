"""The S3 store against SeaweedFS: the contract, and what is its own: parts, limits, failures."""

from __future__ import annotations

import datetime as dt
import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from registry.storage import s3_upload
from registry.storage.base import BlobStore, StorageFull, StorageUnavailable
from registry.storage.s3 import S3Store
from registry.storage.s3_client import S3Options, named_failures
from tests.contracts.blob_store import BlobStoreContract, digest_of, put, read
from tests.contracts.s3_options import options
from tests.e2e.components import free_port
from tests.e2e.seaweedfs import BUCKET, SeaweedFS

pytestmark = [pytest.mark.engineless, pytest.mark.xdist_group("s3")]

MIB = 1024 * 1024


@pytest.fixture
def prefix() -> str:
    """This test's part of the bucket."""
    return f"contract/{uuid.uuid4().hex}"


@pytest.fixture
def store(s3: SeaweedFS, prefix: str) -> S3Store:
    """An empty store."""
    return S3Store(options(s3, prefix))


class TestS3Store(BlobStoreContract):
    """The contract."""

    def parts_left(self, store: BlobStore) -> int:
        """See `BlobStoreContract`."""
        assert isinstance(store, S3Store)
        found = [entry["Key"] for entry in store._list(f"{store._root}/uploads/")]
        return len(found) + len(list(store._unfinished()))


# Sizes at the limits of parts


@pytest.mark.parametrize("offset", [-1, 0, 1])
@pytest.mark.parametrize("count", [1, 3])
def test_sizes_at_the_limit_of_a_part(
    store: S3Store, s3: SeaweedFS, prefix: str, count: int, offset: int
) -> None:
    body = os.urandom(count * s3_upload.SMALLEST_PART + offset)
    digest = put(store, body)
    assert digest == digest_of(body)
    assert store.size(digest) == len(body)
    with store.open(digest) as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == digest.partition(":")[2]
    assert s3.unfinished(prefix) == []
    assert list(s3.objects(prefix).values()) == [len(body)]


@pytest.mark.parametrize("chunk", [1, 999_983, 3 * s3_upload.SMALLEST_PART])
def test_pieces_of_any_size(store: S3Store, chunk: int) -> None:
    body = os.urandom(20 if chunk == 1 else 2 * s3_upload.SMALLEST_PART + 17)
    pieces = (body[at : at + chunk] for at in range(0, len(body), chunk))
    part = store.write(uuid.uuid4(), pieces)
    assert (part.size, part.digest) == (len(body), digest_of(body))


@pytest.mark.parametrize("size", [1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 12 * MIB])
def test_copies_in_ranges(
    store: S3Store, s3: SeaweedFS, prefix: str, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As above 5 GiB, with smaller numbers."""
    monkeypatch.setattr(s3_upload, "COPY_LIMIT", 0)
    monkeypatch.setattr(s3_upload, "COPY_PART", 5 * MIB)
    body = os.urandom(size)
    assert read(store, put(store, body)) == body
    assert s3.unfinished(prefix) == []


def test_a_copy_in_ranges_of_what_is_lost(
    store: S3Store, s3: SeaweedFS, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3_upload, "COPY_LIMIT", 0)
    session = uuid.uuid4()
    part = store.write(session, [b"hello"])
    store.discard(session)
    with pytest.raises(FileNotFoundError):
        store.stage(session, part, part.digest)
    assert s3.unfinished(prefix) == []


def test_parts_are_large_enough_for_the_largest_blob(s3: SeaweedFS, prefix: str) -> None:
    limit = 200 * 1024**3
    store = S3Store(options(s3, prefix), max_blob_size=limit)
    assert store._bucket.part_size * s3_upload.MOST_PARTS >= limit
    assert S3Store(options(s3, prefix))._bucket.part_size == s3_upload.SMALLEST_PART


def test_listing_goes_page_by_page(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
    pushed = {put(store, bytes([number])) for number in range(7)}
    client = store._clients.retrying
    sizes: list[int] = []
    real = client._make_api_call

    def paged(operation: str, given: dict[str, Any]) -> Any:
        if operation == "ListObjectsV2":
            given = {**given, "MaxKeys": 3}
        answer = real(operation, given)
        if operation == "ListObjectsV2":
            sizes.append(len(answer.get("Contents", [])))
        return answer

    monkeypatch.setattr(client, "_make_api_call", paged)
    assert {blob.digest for blob in store.blobs()} == pushed
    assert max(sizes) <= 3
    assert len(sizes) >= 3


# What is left is removed, and only that


def test_a_body_that_breaks_off_among_parts_leaves_nothing(
    store: S3Store, s3: SeaweedFS, prefix: str
) -> None:
    def chunks() -> Iterator[bytes]:
        for _ in range(20):
            yield bytes(MIB)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.write(uuid.uuid4(), chunks())
    assert (s3.objects(prefix), s3.unfinished(prefix)) == ({}, [])


def test_the_sweep_ends_uploads_of_parts_that_a_crash_has_left(
    store: S3Store, s3: SeaweedFS, prefix: str
) -> None:
    client = s3.client()
    live, dead = uuid.uuid4(), uuid.uuid4()
    keys = [f"{prefix}/uploads/{str(session)[:2]}/{session}/part" for session in (live, dead)]
    keys += [f"{prefix}/blobs/sha256/ab/cd/abcd", f"{prefix}/others/thing"]
    for key in keys:
        client.create_multipart_upload(Bucket=BUCKET, Key=key)
    now = dt.datetime.now(dt.UTC)
    assert store.sweep(now - dt.timedelta(hours=1), lambda session: False) == 0
    assert store.sweep(now + dt.timedelta(minutes=1), lambda session: session == live) == 2
    assert set(s3.unfinished(prefix)) == {keys[0], keys[3]}


# Failures of the store


class Failing:
    """Lets named operations fail before or after the store has done them."""

    def __init__(self, store: S3Store, monkeypatch: pytest.MonkeyPatch) -> None:
        self.plans: dict[str, list[Callable[[Callable[[], Any]], Any]]] = {}
        self.calls: list[str] = []
        for client in (store._clients.retrying, store._clients.once, store._clients.quick):
            monkeypatch.setattr(client, "_make_api_call", self._wrapped(client._make_api_call))

    def _wrapped(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(operation: str, given: dict[str, Any]) -> Any:
            self.calls.append(operation)
            plans = self.plans.get(operation)
            if plans:
                return plans.pop(0)(lambda: real(operation, given))
            return real(operation, given)

        return call

    def before(self, operation: str, code: str = "InternalError", times: int = 1) -> None:
        """Fail without asking the store."""

        def fail(real: Callable[[], Any]) -> Any:
            raise refused(code, operation)

        self.plans.setdefault(operation, []).extend([fail] * times)

    def after(self, operation: str) -> None:
        """Do it, and lose the answer."""

        def fail(real: Callable[[], Any]) -> Any:
            real()
            raise refused("InternalError", operation)

        self.plans.setdefault(operation, []).append(fail)


def refused(code: str, operation: str, status: int = 500) -> ClientError:
    """What boto3 raises."""
    return ClientError(
        {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, operation
    )


@pytest.fixture
def failing(store: S3Store, monkeypatch: pytest.MonkeyPatch) -> Failing:
    """Faults of the store."""
    return Failing(store, monkeypatch)


LARGE = 2 * s3_upload.SMALLEST_PART + 1


@pytest.mark.parametrize(
    "operation", ["CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"]
)
@pytest.mark.parametrize(
    ("code", "raised"), [("InternalError", StorageUnavailable), ("QuotaExceeded", StorageFull)]
)
def test_a_failure_among_parts_leaves_nothing(
    store: S3Store, failing: Failing, s3: SeaweedFS, prefix: str,
    operation: str, code: str, raised: type[Exception],
) -> None:  # fmt: skip
    failing.before(operation, code)
    with pytest.raises(raised):
        store.write(uuid.uuid4(), [bytes(LARGE)])
    assert (s3.objects(prefix), s3.unfinished(prefix)) == ({}, [])
    assert store.write(uuid.uuid4(), [bytes(LARGE)]).size == LARGE


def test_an_upload_whose_completion_got_no_answer_is_complete(
    store: S3Store, failing: Failing
) -> None:
    failing.after("CompleteMultipartUpload")
    session = uuid.uuid4()
    part = store.write(session, [bytes(LARGE)])
    store.commit(session, part, part.digest)
    assert store.size(part.digest) == LARGE
    assert failing.calls.count("CompleteMultipartUpload") == 1


def test_a_completion_with_another_size_is_refused(
    store: S3Store, s3: SeaweedFS, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = store._bucket.head

    def shorter(key: str) -> dict[str, Any] | None:
        found = real(key)
        return found and {**found, "ContentLength": found["ContentLength"] - 1}

    monkeypatch.setattr(store._bucket, "head", shorter)
    with pytest.raises(StorageUnavailable):
        store.write(uuid.uuid4(), [bytes(LARGE)])
    assert (s3.objects(prefix), s3.unfinished(prefix)) == ({}, [])


def test_the_store_refuses_a_small_object_that_was_changed_on_the_way(
    store: S3Store, s3: SeaweedFS, prefix: str
) -> None:
    writer = s3_upload.Writer(store._bucket, f"{prefix}/uploads/x", "mark")
    writer.add(b"hello")
    with pytest.raises(StorageUnavailable):
        writer.finish(hashlib.sha256(b"HELLO").digest())


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (refused("NoSuchKey", "GetObject", 404), FileNotFoundError),
        (refused("404", "HeadObject", 404), FileNotFoundError),
        (refused("NoSuchBucket", "PutObject", 404), StorageUnavailable),
        (refused("AccessDenied", "PutObject", 403), StorageUnavailable),
        (refused("SlowDown", "PutObject", 503), StorageUnavailable),
        (refused("XMinioStorageFull", "PutObject", 507), StorageFull),
        (refused("Whatever", "PutObject", 507), StorageFull),
    ],
)
def test_what_failures_are_called(error: ClientError, raised: type[Exception]) -> None:
    with pytest.raises(raised), named_failures():
        raise error


def test_a_store_that_is_not_there(prefix: str) -> None:
    nowhere = S3Store(
        S3Options(
            bucket="b", endpoint=f"http://127.0.0.1:{free_port()}", access_key="a", secret_key="b"
        )
    )
    for step in (
        nowhere.check,
        lambda: nowhere.size(digest_of(b"")),
        lambda: nowhere.open(digest_of(b"")),
        lambda: nowhere.write(uuid.uuid4(), [b"x"]),
        lambda: list(nowhere.blobs()),
    ):
        with pytest.raises(StorageUnavailable):
            step()


def test_the_check_needs_the_bucket(s3: SeaweedFS) -> None:
    wrong = S3Options("not-there", "", s3.endpoint, access_key="x", secret_key="y")
    with pytest.raises(StorageUnavailable):
        S3Store(wrong).check()
