"""``Expect: 100-continue``: who may go on gets leave, and who may not the refusal alone."""

from __future__ import annotations

import socket

import pytest

from tests.bad_inputs.wire import PRIVATE, UPLOADS, Wire

pytestmark = pytest.mark.xdist_group("bad-inputs")


def test_a_client_that_waits_for_leave_gets_it_or_the_refusal(wire: Wire) -> None:
    location = wire.upload()
    with socket.create_connection(wire.node.registry, 60) as connection:
        lines = ("Content-Length: 5", "Expect: 100-continue")
        connection.sendall(wire.head("PATCH", location, *lines, close=True))
        assert connection.recv(100).startswith(b"HTTP/1.1 100")
        connection.sendall(b"hello")
        assert b"202" in connection.recv(1000)


def waiting(wire: Wire, method: str, path: str, *lines: str, token: bool = True) -> bytes:
    """All that a client gets that waits for leave and never sends its body."""
    with socket.create_connection(wire.node.registry, 60) as connection:
        connection.sendall(wire.head(method, path, *lines, "Expect: 100-continue", token=token))
        received = b""
        # Until the other side closes: nothing else may be asked on this connection.
        while piece := connection.recv(65536):
            received += piece
            if received.startswith(b"HTTP/1.1 100"):
                break
    return received


@pytest.mark.parametrize("framing", ["Content-Length: 500", "Transfer-Encoding: chunked"])
def test_who_may_not_go_on_gets_no_leave(wire: Wire, framing: str) -> None:
    """A gigabyte would be sent for nothing; and the connection is not used again."""
    location = wire.upload()
    unknown = location.replace("_state=", "_state=0")
    digest = f"digest=sha256:{'0' * 64}"
    for method, path, token, status in (
        ("PATCH", location, False, 401),
        ("PATCH", unknown, True, 404),
        ("PUT", location, True, 400),
        ("POST", f"{UPLOADS}?digest=sha256:zz", True, 400),
        ("POST", f"/v2/acme/other/blobs/uploads/?{digest}", True, 401),
        ("PUT", f"/v2/{PRIVATE}/manifests/.bad", True, 400),
        ("POST", "/v2/", True, 405),
    ):
        received = waiting(wire, method, path, framing, token=token)
        assert received.startswith(b"HTTP/1.1 %d " % status), (method, path)
        assert b"\r\nConnection: close\r\n" in received


def test_a_length_over_the_limit_gets_no_leave(wire: Wire) -> None:
    received = waiting(wire, "PATCH", wire.upload(), f"Content-Length: {2**50}")
    assert received.startswith(b"HTTP/1.1 413 ")
    large = waiting(wire, "PUT", f"/v2/{PRIVATE}/manifests/x", f"Content-Length: {2**30}")
    assert large.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize("framed", [False, True])
def test_who_does_not_wait_for_leave_is_read_all_the_same(wire: Wire, framed: bool) -> None:
    """The body comes with its head; what follows on the connection is the next request."""
    location = wire.upload()
    body = b"5\r\nhello\r\n0\r\n\r\n" if framed else b"hello"
    framing = "Transfer-Encoding: chunked" if framed else "Content-Length: 5"
    content = wire.head("PATCH", location, framing, "Expect: 100-continue") + body
    content += wire.head("GET", location, close=True)
    answers = wire.several(content, ["PATCH", "GET"])
    assert [status for status, _ in answers] == [202, 204]
