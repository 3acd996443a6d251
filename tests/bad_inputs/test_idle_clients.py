"""Clients that stop where a server may forget to look: they too keep nobody waiting."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
import time
from pathlib import Path

import pytest

from tests.bad_inputs import slow_clients
from tests.bad_inputs.attacks import Forge
from tests.bad_inputs.client import TIMEOUT, exchange
from tests.bad_inputs.server import Node
from tests.e2e import certificates
from tokens.access import Access

pytestmark = [pytest.mark.engineless, pytest.mark.xdist_group("bad-inputs")]

PRIVATE = "acme/private-app"
COUNT = 60
"""More than work in the one worker that is attacked."""

_GET = b"GET /v2/ HTTP/1.1\r\nHost: localhost\r\n\r\n"
_PUT = b"PUT /v2/ HTTP/1.1\r\nHost: localhost\r\n"
_STOPPED = {
    "half a second request": _GET + b"GET /v2/ HT",
    "a very long head": b"GET /v2/ HTTP/1.1\r\n" + b"X-Field: %s\r\n" % (b"x" * 2000) * 33,
    "a body that nobody reads": _PUT + b"Content-Length: 9\r\n\r\n",
    "a chunk that nobody reads": _PUT + b"Transfer-Encoding: chunked\r\n\r\n9",
    "an answer and no farewell": b"GET /v2/ HTTP/1.0\r\nHost: localhost\r\n\r\n",
}


def serves_others(
    address: tuple[str, int],
    good: bytes,
    content: bytes,
    tls: ssl.SSLContext | None = None,
    slow_tls: ssl.SSLContext | None = None,
) -> None:
    """Healthy requests take as long as before while so many connections stop after `content`."""
    before = slow_clients.healthy(address, good, tls)
    with slow_clients.waiting(address, content, COUNT, slow_tls):
        during = slow_clients.healthy(address, good, tls)
    assert during < 2 * before + slow_clients.SLACK


@pytest.mark.parametrize("content", [*_STOPPED.values(), b"\x16"], ids=[*_STOPPED, "a byte of TLS"])
def test_the_others_are_served(node: Node, forge: Forge, content: bytes) -> None:
    token = forge.mint(Access.repository(PRIVATE, "pull"))
    good = slow_clients.get(f"/v2/{PRIVATE}/manifests/v1", node.registry, token)
    serves_others(node.registry, good, content)


def fill(connection: socket.socket) -> None:
    """Ask again and again, without reading, until nobody takes any more."""
    connection.settimeout(0.2)
    with contextlib.suppress(TimeoutError):
        while True:
            connection.sendall(_GET * 100)


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "application/json"])
def test_forms_and_json_that_do_not_come(node: Node, kind: str) -> None:
    content = (
        f"POST /jwt/auth HTTP/1.1\r\nHost: localhost:{node.web[1]}\r\n"
        f"Content-Type: {kind}\r\nContent-Length: 1000\r\n\r\na"
    )
    serves_others(node.web, slow_clients.get("/-/liveness", node.web, None), content.encode())


def test_answers_that_nobody_reads(node: Node, forge: Forge) -> None:
    """Small ones, on one connection each: in the end they fit into no buffer."""
    token = forge.mint(Access.repository(PRIVATE, "pull"))
    good = slow_clients.get(f"/v2/{PRIVATE}/manifests/v1", node.registry, token)
    before = slow_clients.healthy(node.registry, good)
    with slow_clients.waiting(node.registry, b"", 20) as connections:
        for connection in connections:
            fill(connection)
        during = slow_clients.healthy(node.registry, good)
    assert during < 2 * before + slow_clients.SLACK


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\x16\x03\x01", 400),
        (b"GET /v2/ HTTP/1.1\nHost: localhost\n", 400),
        (_STOPPED["a very long head"], 431),
    ],
    ids=["TLS", "bare LF", "a very long head"],
)
def test_what_can_be_no_request_is_answered_at_once(
    node: Node, content: bytes, status: int
) -> None:
    """docker tries TLS first, and waits for what becomes of it."""
    with socket.create_connection(node.registry, TIMEOUT) as connection:
        connection.sendall(content)
        started = time.monotonic()
        assert connection.recv(12) == b"HTTP/1.1 %d" % status
        assert time.monotonic() - started < slow_clients.SLACK


def test_empty_lines_before_a_request(node: Node) -> None:
    """RFC 9112, 2.2: one that follows on the request before is read over."""
    content = b"\r\n" + _GET.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    assert exchange(node.registry, content).status == 401


def test_nothing_is_left_of_a_thousand_connections(node: Node) -> None:
    """Neither descriptors, nor connections that are still counted and never end."""
    address = node.registry
    exchange(address, _GET)
    before = node.descriptors("registry")
    contents = [*_STOPPED.values(), b"", b"\x16", b"GET", _GET, _GET * 3]
    for number in range(1200):
        with socket.create_connection(address, TIMEOUT) as connection:
            connection.sendall(contents[number % len(contents)])
            if number % 3 == 0:
                # A reset instead of an end.
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0" + bytes(4))
    deadline = time.monotonic() + TIMEOUT
    while node.descriptors("registry") > before + 40:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    # Were they still counted, none of a thousand would be taken any more.
    assert exchange(address, _GET).status == 401


@pytest.fixture(scope="module")
def tls(
    node: Node, tmp_path_factory: pytest.TempPathFactory
) -> tuple[tuple[str, int], ssl.SSLContext]:
    """A registry process that does TLS itself."""
    made = certificates.make(tmp_path_factory.mktemp("certificates"))
    address, context = node.serve_with_tls(made)
    deadline = time.monotonic() + TIMEOUT
    while True:
        try:
            assert slow_clients.pull(address, _GET[:-2] + b"Connection: close\r\n\r\n", context)
            return address, context
        except OSError:
            assert time.monotonic() < deadline, node.log()
            time.sleep(0.1)


@pytest.fixture
def good(tls: tuple[tuple[str, int], ssl.SSLContext], forge: Forge) -> bytes:
    """A pull that is to be answered meanwhile."""
    token = forge.mint(Access.repository(PRIVATE, "pull"))
    return slow_clients.get(f"/v2/{PRIVATE}/manifests/v1", tls[0], token)


@pytest.mark.parametrize("content", _STOPPED.values(), ids=_STOPPED)
def test_over_tls(tls: tuple[tuple[str, int], ssl.SSLContext], good: bytes, content: bytes) -> None:
    address, context = tls
    serves_others(address, good, content, context, context)


@pytest.mark.parametrize("content", [b"", b"\x16", b"\x16\x03\x01\x02\x00" + bytes(50)])
def test_no_handshake(
    tls: tuple[tuple[str, int], ssl.SSLContext], good: bytes, content: bytes
) -> None:
    address, context = tls
    serves_others(address, good, content, context)


def test_a_large_body_over_tls_is_whole(
    tls: tuple[tuple[str, int], ssl.SSLContext], forge: Forge, tmp_path: Path
) -> None:
    """Sent in pieces with breaks, and read back by a client that reads slowly."""
    address, context = tls
    token = forge.mint(Access.repository(PRIVATE, "pull", "push"))
    content = os.urandom(3_000_000)
    digest = slow_clients.digest_of(content)
    head = f"Host: localhost:{address[1]}\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n"
    with slow_clients.connect(address, context) as connection:
        connection.sendall(
            f"POST /v2/{PRIVATE}/blobs/uploads/?digest={digest} HTTP/1.1\r\n{head}"
            f"Content-Length: {len(content)}\r\n\r\n".encode()
        )
        for start in range(0, len(content), 1_000_000):
            time.sleep(0.4)
            connection.sendall(content[start : start + 1_000_000])
        assert connection.recv(12) == b"HTTP/1.1 201"
    with slow_clients.connect(address, context) as connection:
        connection.sendall(f"GET /v2/{PRIVATE}/blobs/{digest} HTTP/1.1\r\n{head}\r\n".encode())
        time.sleep(0.4)
        received = bytearray()
        while piece := connection.recv(65536):
            received += piece
    assert received.endswith(content)
