"""The API over the wire, without a proxy: what a server does to a request before Django sees it."""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

import httpx
import pytest

from tests.e2e.conftest import Person
from tests.e2e.installation import Installation

pytestmark = pytest.mark.e2e


@pytest.fixture
def client(berth: Installation, alice: Person) -> httpx.Client:
    return httpx.Client(
        base_url=f"{berth.url}/api/v4/",
        headers={"PRIVATE-TOKEN": berth.api_token(alice.username)},
        timeout=30,
    )


def test_an_encoded_path(client: httpx.Client, alice: Person) -> None:
    made = client.post("projects", json={"path": "encoded"})
    assert made.status_code == 201, made.text
    path = f"projects/{alice.username}%2Fencoded"
    assert client.get(path).json()["id"] == made.json()["id"]
    assert client.get(path.replace("%2F", "/")).status_code == 404


def test_a_chunked_body(client: httpx.Client) -> None:
    kind = {"Content-Type": "application/json"}
    pieces = iter([b'{"pa', b'th": "in-pieces"}'])
    assert client.post("projects", content=pieces, headers=kind).json()["path"] == "in-pieces"
    large = (b"x" * 65_536 for _ in range(32))
    refused = client.post("projects", content=large, headers=kind)
    assert refused.status_code == 413


def test_a_chunk_that_is_none(client: httpx.Client, berth: Installation) -> None:
    """The connection ends with it: what follows must not be taken for another request."""
    split = urlsplit(berth.url)
    with socket.create_connection((split.hostname, split.port), timeout=10) as line:
        token = client.headers["PRIVATE-TOKEN"]
        line.sendall(
            f"POST /api/v4/projects HTTP/1.1\r\nHost: {split.netloc}\r\nPRIVATE-TOKEN: {token}\r\n"
            "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"
            "GET /api/v4/user HTTP/1.1\r\n\r\n".encode()
        )
        answer = b""
        while piece := line.recv(65_536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1") == 1
