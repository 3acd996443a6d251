"""Reading from the S3 store: streams that break, addresses, and what is never printed."""

from __future__ import annotations

import io
import logging
import os
import uuid
from typing import Any

import httpx
import pytest

from registry.storage.base import StorageUnavailable
from registry.storage.s3 import S3Store
from registry.storage.s3_client import S3Options
from tests.contracts.blob_store import digest_of, put
from tests.contracts.s3_options import options
from tests.e2e.seaweedfs import ACCESS_KEY, SECRET_KEY, SeaweedFS

pytestmark = [pytest.mark.engineless, pytest.mark.xdist_group("s3")]

MIB = 1024 * 1024


@pytest.fixture
def prefix() -> str:
    """This test's part of the bucket."""
    return f"reading/{uuid.uuid4().hex}"


@pytest.fixture
def store(s3: SeaweedFS, prefix: str) -> S3Store:
    """An empty store."""
    return S3Store(options(s3, prefix))


# Reading


class Broken(io.RawIOBase):
    """A stream that ends after some bytes as if that were all."""

    def __init__(self, body: Any, after: int) -> None:
        self.body, self.left = body, after

    def read(self, size: int = -1) -> bytes:
        piece: bytes = self.body.read(min(size, self.left))
        self.left -= len(piece)
        return piece


def test_a_stream_that_breaks_is_taken_up_where_it_broke(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = os.urandom(300_000)
    digest = put(store, body)
    client = store._clients.retrying
    real = client.get_object
    asked: list[Any] = []

    def get_object(**given: Any) -> Any:
        asked.append(given.get("Range"))
        answer = real(**given)
        if len(asked) < 3:
            answer["Body"] = Broken(answer["Body"], 100_000)
        return answer

    monkeypatch.setattr(client, "get_object", get_object)
    with store.open(digest) as file:
        assert file.read() == body
    assert asked == [None, "bytes=100000-", "bytes=200000-"]


def test_bytes_of_two_objects_are_never_mixed(
    store: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = uuid.uuid4()
    digest = put(store, bytes(300_000))
    file = store.open(digest)
    file._body = Broken(file._body, 1000)  # type: ignore[attr-defined]
    other = store.write(session, [b"x" * 300_000])
    store.commit(session, other, digest)
    with file, pytest.raises(StorageUnavailable):
        file.read()


def test_closing_early_fetches_no_more(store: S3Store) -> None:
    digest = put(store, bytes(30 * MIB))
    file = store.open(digest)
    assert file.read(10) == bytes(10)
    file.close()
    assert file.closed


# Addresses


def test_an_address_is_signed_for_a_while_and_for_reading_alone(
    store: S3Store, s3: SeaweedFS
) -> None:
    digest = put(store, b"hello world")
    address = store.address(digest, 60)
    assert address is not None
    assert SECRET_KEY not in address
    assert "X-Amz-Expires=60" in address
    assert httpx.get(address).content == b"hello world"
    assert httpx.get(address, headers={"Range": "bytes=6-"}).content == b"world"
    assert httpx.put(address, content=b"x").status_code == 403
    assert httpx.get(address.partition("?")[0]).status_code == 403
    assert httpx.get(address.replace("X-Amz-Expires=60", "X-Amz-Expires=6000")).status_code == 403


@pytest.mark.parametrize(
    ("style", "endpoint", "start"),
    [
        ("auto", "https://s3.example.com", "https://s3.example.com/images/"),
        ("path", "https://s3.example.com", "https://s3.example.com/images/"),
        ("virtual", "https://s3.example.com", "https://images.s3.example.com/"),
        ("auto", None, "https://images.s3."),
        ("path", None, "https://s3."),
    ],
)
def test_addressing_styles(style: str, endpoint: str | None, start: str) -> None:
    store = S3Store(
        S3Options(
            bucket="images", endpoint=endpoint, region="eu-central-1", addressing_style=style,
            access_key="a", secret_key="b",
        )
    )  # fmt: skip
    address = store.address(digest_of(b""), 60)
    assert address is not None
    assert address.startswith(start)


# Secrets


def test_no_secret_is_printed(s3: SeaweedFS, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    given = options(s3, prefix)
    assert SECRET_KEY not in repr(given)
    assert ACCESS_KEY not in repr(given)
    store = S3Store(given)
    put(store, b"hello")
    with pytest.raises(StorageUnavailable) as caught:
        S3Store(options(s3, prefix, access_key="other")).check()
    for text in (caplog.text, str(caught.value), repr(caught.value.__cause__)):
        assert SECRET_KEY not in text
