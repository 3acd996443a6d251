"""A blob of any size as it comes: with a token for the one image, which nobody else gets."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import jwt
import pytest

from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.distribution import DistributionRegistry

pytestmark = pytest.mark.engineless
DIGEST = f"sha256:{'a' * 64}"
STORE = "https://store.example.com/blob?signature=x"


class Network(httpx.BaseTransport):
    """Answers by host; what was asked is in `asked`."""

    def __init__(self, registry: Any, store: Any = None) -> None:
        self.answers = {"registry.test": registry, "store.example.com": store}
        self.asked: list[httpx.Request] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        found = self.answers[request.url.host]
        if isinstance(found, Exception):
            raise found
        status, headers, parts = found
        return httpx.Response(status, headers=headers, stream=Parts(parts))


class Parts(httpx.SyncByteStream):
    def __init__(self, parts: Any) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            if isinstance(part, Exception):
                raise part
            yield part


def asked(network: Network) -> Iterator[bytes]:
    registry = DistributionRegistry("https://registry.test", transport=network)
    return registry.layer("acme/app", DIGEST)


def test_bytes_come_as_they_are_sent_whatever_their_encoding() -> None:
    network = Network((200, {"Content-Encoding": "gzip"}, [b"\x1f\x8b", b"rest"]))
    assert b"".join(asked(network)) == b"\x1f\x8brest"
    (request,) = network.asked
    assert request.url.path == f"/v2/acme/app/blobs/{DIGEST}"
    assert request.headers["Accept-Encoding"] == "identity"
    token = request.headers["Authorization"].removeprefix("Bearer ")
    said = jwt.decode(token, options={"verify_signature": False})
    assert said["access"] == [{"type": "repository", "name": "acme/app", "actions": ["pull"]}]
    assert said["exp"] - said["iat"] <= 600


def test_a_store_is_asked_once_and_without_the_token() -> None:
    network = Network((307, {"Location": STORE}, []), (200, {}, [b"blob"]))
    assert b"".join(asked(network)) == b"blob"
    assert str(network.asked[1].url) == STORE
    assert "Authorization" not in network.asked[1].headers
    network = Network((307, {"Location": STORE}, []), (302, {"Location": STORE}, []))
    with pytest.raises(RegistryUnavailable, match="store answers 302"):
        list(asked(network))
    assert len(network.asked) == 2


@pytest.mark.parametrize("where", ["", "/v2/other", "file:///etc/passwd", "https://[", "ftp://x"])
def test_nowhere_else_is_followed(where: str) -> None:
    network = Network((307, {"Location": where}, []))
    with pytest.raises(RegistryUnavailable):
        list(asked(network))
    assert len(network.asked) == 1


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (404, RegistryRefused),
        (401, RegistryRefused),
        (403, RegistryRefused),
        (429, RegistryUnavailable),
        (500, RegistryUnavailable),
        (503, RegistryUnavailable),
    ],
)
def test_a_refusal_is_one_of_two_failures(status: int, failure: type[Exception]) -> None:
    with pytest.raises(failure, match=f"answers {status}"):
        list(asked(Network((status, {}, [b"why"]))))


def test_a_line_that_breaks_is_told_between_two_chunks() -> None:
    network = Network((200, {}, [b"one", httpx.ReadError("reset")]))
    found = asked(network)
    assert next(found) == b"one"
    with pytest.raises(RegistryUnavailable, match="ReadError"):
        next(found)
    with pytest.raises(RegistryUnavailable, match="ConnectTimeout"):
        list(asked(Network(httpx.ConnectTimeout("late"))))
