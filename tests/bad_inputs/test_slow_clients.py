"""Clients that hardly move keep nobody waiting, with a proxy or without, and are served in
the end.
"""

from __future__ import annotations

import http.client
import socket
from contextlib import ExitStack

import pytest

from tests.bad_inputs import slow_clients
from tests.bad_inputs.attacks import Forge
from tests.bad_inputs.client import TIMEOUT, exchange, request
from tests.bad_inputs.server import Node
from tokens.access import Access

pytestmark = pytest.mark.xdist_group("bad-inputs")

PRIVATE = "acme/private-app"
HEADS = 400


@pytest.fixture
def token(forge: Forge) -> str:
    """For pulls and pushes."""
    return forge.mint(Access.repository(PRIVATE, "pull", "push"))


def start_upload(node: Node, token: str) -> str:
    """The address of a new session."""
    headers = [("Authorization", f"Bearer {token}")]
    host = f"localhost:{node.registry[1]}"
    path = f"/v2/{PRIVATE}/blobs/uploads/"
    answer = exchange(node.registry, request("POST", path, host, headers, b"", chunked=False))
    assert answer.status == 202, answer
    return answer.header("Location")


@pytest.mark.parametrize("role", ["registry", "web"])
@pytest.mark.parametrize("begun", [b"", b"GET /v2/ HTTP/1.1\r\nX-Slow: x"], ids=["silent", "slow"])
def test_heads(node: Node, token: str, role: str, begun: bytes) -> None:
    """HTTP-024 without a proxy, and the same with clients that say nothing at all."""
    address = getattr(node, role)
    good = (
        slow_clients.get(f"/v2/{PRIVATE}/manifests/v1", address, token)
        if role == "registry"
        else slow_clients.get("/-/liveness", address, None)
    )
    before = slow_clients.healthy(address, good)
    with slow_clients.waiting(address, begun, HEADS) as connections:
        during = slow_clients.healthy(address, good)
        for connection in connections if begun else ():
            connection.sendall(b"x")
        assert slow_clients.healthy(address, good) < 2 * before + slow_clients.SLACK
        assert during < 2 * before + slow_clients.SLACK
        if begun:
            # Those that end their head at last are answered.
            for connection in connections[:5]:
                connection.sendall(b"\r\n\r\n")
                assert connection.recv(9) == b"HTTP/1.1 "


@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunked"])
def test_a_body_that_came_slowly_is_whole(node: Node, token: str, *, is_chunked: bool) -> None:
    """All that wait meanwhile are answered in the end; the offset is what they sent."""
    count = 40
    with ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection(node.registry, TIMEOUT))
            framing = "Transfer-Encoding: chunked" if is_chunked else "Content-Length: 6"
            connection.sendall(
                f"PATCH {start_upload(node, token)} HTTP/1.1\r\nHost: localhost:{node.registry[1]}"
                f"\r\nAuthorization: Bearer {token}\r\n{framing}\r\n\r\n".encode()
                + (b"6\r\na" if is_chunked else b"a")
            )
            connections.append(connection)
        good = slow_clients.get(f"/v2/{PRIVATE}/manifests/v1", node.registry, token)
        assert slow_clients.pull(node.registry, good).status == 200
        for connection in connections:
            connection.sendall(b"bcdef\r\n0\r\n\r\n" if is_chunked else b"bcdef")
        for connection in connections:
            response = http.client.HTTPResponse(connection)
            response.begin()
            assert response.status == 202
            assert response.getheader("Range") == "0-5"


@pytest.mark.postgresql
def test_those_who_wait_keep_no_connection_to_the_database(node: Node, token: str) -> None:
    """200 slow bodies: PostgreSQL would refuse everybody else at a hundred connections."""
    head = (
        f"PATCH {start_upload(node, token)} HTTP/1.1\r\nHost: localhost:{node.registry[1]}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Length: 1000\r\n\r\nx"
    ).encode()
    good = slow_clients.get(f"/v2/{PRIVATE}/manifests/v1", node.registry, token)
    with slow_clients.waiting(node.registry, head):
        slow_clients.healthy(node.registry, good)
        ((count,),) = node.rows(
            "registry",
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()",
        )
    assert count < 50
