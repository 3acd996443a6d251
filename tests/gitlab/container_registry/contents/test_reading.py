"""Manifests and blobs by digest: remembered, bounded, and never told to an image without them."""

from __future__ import annotations

import gc
import hashlib
from typing import Any

import httpx
import pytest

from gitlab.container_registry.client import connection
from gitlab.container_registry.client.berth import BerthRegistry
from gitlab.container_registry.client.connection import RegistryUnavailable
from gitlab.container_registry.client.distribution import DistributionRegistry
from gitlab.container_registry.contents import reading
from gitlab.container_registry.contents.reading import Remembered
from tests.gitlab.container_registry.client.played_network import PlayedNetwork
from tests.gitlab.played_registry import MANIFEST

pytestmark = pytest.mark.engineless

CONTENT = b'{"os": "linux"}'
DIGEST = f"sha256:{hashlib.sha256(CONTENT).hexdigest()}"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.time, "sleep", lambda seconds: None)


class Played:
    """A registry in which `images` have the content, and what it was asked."""

    def __init__(self, content: bytes = CONTENT, images: tuple[str, ...] = ("acme/app",)) -> None:
        self.content, self.images = content, images
        self.asked: list[tuple[str, str]] = []
        self.redirects_to = ""
        self.authorizations: list[str | None] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append((request.method, request.url.path))
        self.authorizations.append(request.headers.get("authorization"))
        if request.url.host == "store":
            return httpx.Response(200, content=self.content)
        image = request.url.path.removeprefix("/v2/").partition("/blobs/")[0]
        if image.partition("/manifests/")[0] not in self.images:
            return httpx.Response(404)
        if request.method == "GET" and self.redirects_to:
            return httpx.Response(307, headers={"Location": self.redirects_to})
        content = b"" if request.method == "HEAD" else self.content
        return httpx.Response(200, content=content, headers={"Content-Type": MANIFEST})

    def client(self, kind: Any = BerthRegistry) -> Any:
        return kind("http://registry", transport=PlayedNetwork(self))


@pytest.mark.parametrize("kind", [BerthRegistry, DistributionRegistry])
def test_a_blob_is_read_once_and_asked_for_each_time(kind: Any) -> None:
    played = Played()
    registry = played.client(kind)
    assert [reading.blob(registry, "acme/app", DIGEST) for _ in range(3)] == [CONTENT] * 3
    assert [method for method, _ in played.asked] == ["GET", "HEAD", "HEAD"]


def test_an_image_without_it_does_not_learn_what_another_one_has() -> None:
    played = Played()
    registry = played.client()
    assert reading.blob(registry, "acme/app", DIGEST) == CONTENT
    assert reading.manifest(registry, "acme/app", DIGEST) is not None
    assert reading.blob(registry, "mallory/own", DIGEST) is None
    assert reading.manifest(registry, "mallory/own", DIGEST) is None
    played.images = ()
    assert reading.blob(registry, "acme/app", DIGEST) is None
    assert reading.manifest(registry, "acme/app", DIGEST) is None


def test_a_registry_is_not_told_what_another_one_said() -> None:
    first, second = Played(), Played()
    reading.blob(first.client(), "acme/app", DIGEST)
    reading.blob(second.client(), "acme/app", DIGEST)
    assert [method for method, _ in second.asked] == ["GET"]


@pytest.mark.parametrize("content", [b"", b"[]", CONTENT + b" "])
def test_what_is_not_its_digest_is_not_taken(content: bytes) -> None:
    registry = Played(content).client()
    with pytest.raises(RegistryUnavailable):
        reading.blob(registry, "acme/app", DIGEST)


@pytest.mark.parametrize("digest", ["md5:" + "0" * 32, "shake_128:00", "x", ""])
def test_a_digest_of_an_algorithm_that_nobody_knows_fits_nothing(digest: str) -> None:
    with pytest.raises(RegistryUnavailable):
        reading.blob(Played().client(), "acme/app", digest)


def test_a_large_blob_is_not_read_to_its_end() -> None:
    played = Played(b"x" * 100_000)
    assert reading.blob(played.client(), "acme/app", DIGEST, max_bytes=1000) is None


def test_one_that_is_known_has_its_limit_too() -> None:
    registry = Played().client()
    reading.blob(registry, "acme/app", DIGEST)
    assert reading.blob(registry, "acme/app", DIGEST, max_bytes=3) is None


def test_a_store_is_asked_without_the_token() -> None:
    played = Played()
    played.redirects_to = "http://store/blob?signed=1"
    assert reading.blob(played.client(), "acme/app", DIGEST) == CONTENT
    with_token, without = played.authorizations
    assert with_token is not None
    assert without is None


@pytest.mark.parametrize("where", ["", "/v2/", "file:///etc/passwd", "ftp://store/", "http://[/"])
def test_elsewhere_nobody_is_followed(where: str) -> None:
    played = Played()
    played.redirects_to = where or "x"
    with pytest.raises(RegistryUnavailable):
        reading.blob(played.client(), "acme/app", DIGEST)
    assert len(played.asked) == 1


def test_what_is_remembered_has_an_end() -> None:
    remembered = Remembered(max_bytes=100_000)
    for number in range(100):
        remembered.put(f"sha256:{number}", bytes(10_000))
        remembered.get(bytes, "sha256:0")
    kept = [n for n in range(100) if remembered.get(bytes, f"sha256:{n}") is not None]
    assert len(kept) == 9
    assert (kept[0], kept[-1]) == (0, 99)
    remembered.put("sha256:large", bytes(30_000))
    assert remembered.get(bytes, "sha256:large") is None


def test_what_is_remembered_goes_with_its_client() -> None:
    before = len(reading._remembered)
    registry = Played().client()
    reading.blob(registry, "acme/app", DIGEST)
    del registry
    gc.collect()
    assert len(reading._remembered) <= before
