"""What frames a body, and where the next request on a connection begins."""

from __future__ import annotations

import hashlib
import socket
import time

import pytest

from tests.bad_inputs.server import Node
from tests.bad_inputs.wire import MIB, PRIVATE, UPLOADS, Wire, v1

pytestmark = pytest.mark.xdist_group("bad-inputs")


@pytest.mark.parametrize(
    ("method", "path", "lines", "status"),
    [
        ("HEAD", f"/v2/{PRIVATE}/manifests/none", (), 404),
        ("HEAD", f"/v2/{PRIVATE}/manifests/v1", (), 200),
        ("HEAD", f"/v2/{PRIVATE}/blobs/sha256:{'0' * 64}", (), 404),
        ("HEAD", "/v2/Acme/x/manifests/v1", (), 400),
        ("HEAD", "/v2/nothing/here", (), 404),
        ("HEAD", f"/v2/{PRIVATE}/tags/list", (), 200),
        ("GET", f"/v2/{PRIVATE}/manifests/v1", ("If-None-Match: *",), 304),
        ("OPTIONS", f"/v2/{PRIVATE}/manifests/v1", (), 200),
        ("POST", "/v2/", ("Content-Length: 3", "", "abc"), 405),
    ],
)
def test_a_connection_can_be_used_again(
    wire: Wire, node: Node, method: str, path: str, lines: tuple[str, ...], status: int
) -> None:
    """No byte of one answer is taken for the next: each is framed as its method and status ask."""
    body = b""
    if "" in lines:
        body, lines = lines[-1].encode(), lines[: lines.index("")]
    content = wire.head(method, path, *lines) + body
    content += wire.head("GET", f"/v2/{PRIVATE}/manifests/v1", close=True)
    first, second = wire.several(content, [method, "GET"])
    assert first[0] == status
    assert second == (200, v1(node))


def test_a_session_can_be_driven_on_one_connection(wire: Wire) -> None:
    location = wire.upload()
    content = wire.head("GET", location)
    content += wire.head("PATCH", location, "Content-Length: 5") + b"hello"
    content += wire.head("DELETE", location)
    content += wire.head("GET", location, close=True)
    answers = wire.several(content, ["GET", "PATCH", "DELETE", "GET"])
    assert [status for status, _ in answers] == [204, 202, 204, 404]


@pytest.mark.parametrize("chunked", [False, True])
@pytest.mark.parametrize("size", [10, 200 * 1024, 3 * MIB])
@pytest.mark.parametrize("token", [True, False])
def test_the_request_behind_a_body_is_read_from_its_start(
    wire: Wire, node: Node, chunked: bool, size: int, token: bool
) -> None:
    """Whether the body was read or refused unread, what follows is not part of it, nor it
    of that.
    """
    inner = wire.head("DELETE", f"/v2/{PRIVATE}/manifests/v1")
    body = (inner + bytes(size))[: max(size, len(inner))]
    location = wire.upload()
    if chunked:
        pieces = [body[start : start + 30_000] for start in range(0, len(body), 30_000)]
        framed = b"".join(b"%x;x=y\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
        framed += b"0\r\nX-Trailer: 1\r\n\r\n"
        head = wire.head("PATCH", location, "Transfer-Encoding: chunked", token=token)
    else:
        framed = body
        head = wire.head("PATCH", location, f"Content-Length: {len(body)}", token=token)
    follow = wire.head("GET", f"/v2/{PRIVATE}/manifests/v1", close=True)
    methods = ["PATCH", "GET"] if token else ["PATCH"]
    if token:
        first, second = wire.several(head + framed + follow, methods)
        assert first[0] == 202
        assert second == (200, v1(node))
    else:
        # Refused unread: the rest may be read over or the connection closed, never executed.
        answer = wire.send(head + framed + follow)
        assert answer.status == 401
        assert b"202" not in answer.rest[:20]
    assert wire.send(wire.head("HEAD", f"/v2/{PRIVATE}/manifests/v1", close=True), head=True).status == 200  # fmt: skip


@pytest.mark.parametrize(
    "framed",
    [
        b"5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        b"5\r\nhello\r\n0\r\n" + b"X-A: 1\r\n" * 20_000 + b"\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5_0\r\nhello\r\n0\r\n\r\n",
        b"\r\n5\r\nhello\r\n0\r\n\r\n",
        b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"5" + b";a" * 9000 + b"\r\nhello\r\n0\r\n\r\n",
        b"g\r\nhello\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"5\r\nhel",
        b"5\r\nhello\r\n0\r\n",
        b"",
    ],
)
def test_a_malformed_chunked_body_is_refused_and_leaves_nothing(
    wire: Wire, node: Node, framed: bytes
) -> None:
    location = wire.upload()
    before = node.parts()
    head = wire.head("PATCH", location, "Transfer-Encoding: chunked")
    answer = wire.send(head + framed)
    assert answer.status in (0, 400), answer
    assert node.parts() == before
    status = wire.send(wire.head("GET", location, close=True))
    assert status.header("Range") == "0-0"
    assert "Traceback" not in node.log_since()


@pytest.mark.parametrize("sent", [0, 1000, 100_000])
def test_a_body_of_known_length_that_breaks_off_leaves_nothing(
    wire: Wire, node: Node, sent: int
) -> None:
    location = wire.upload()
    before = node.parts()
    for method, address in (
        ("PATCH", location),
        ("PUT", f"{location}&digest=sha256:{'0' * 64}"),
        ("POST", f"{UPLOADS}?digest=sha256:{'0' * 64}"),
    ):
        answer = wire.send(wire.head(method, address, "Content-Length: 200000") + bytes(sent))
        assert answer.status in (0, 400), answer
    assert node.parts() == before
    assert "Traceback" not in node.log_since()


def test_a_client_that_vanishes_leaves_nothing(wire: Wire, node: Node) -> None:
    """Reset in the middle of an upload: no part stays, and the thread is free again."""
    location = wire.upload()
    for _ in range(20):
        connection = socket.create_connection(node.registry, 60)
        connection.sendall(wire.head("PATCH", location, "Content-Length: 1000000") + bytes(70_000))
        # Reset instead of a polite end.
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    deadline = time.monotonic() + 60
    # Of this session alone: what another test has begun may still be coming in.
    while node.parts(location) and time.monotonic() < deadline:
        node.settle()
    assert node.parts(location) == 0
    assert "Traceback" not in node.log_since()


@pytest.mark.engineless
def test_ranges_through_sendfile(wire: Wire) -> None:
    body = bytes(range(256)) * 4096
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    put = wire.head("POST", f"{UPLOADS}?digest={digest}", f"Content-Length: {len(body)}", close=True)  # fmt: skip
    assert wire.send(put + body).status == 201
    path = f"/v2/{PRIVATE}/blobs/{digest}"
    for field, start, end in (
        ("bytes=0-", 0, len(body)),
        ("bytes=1000-1999", 1000, 2000),
        (f"bytes=-{MIB // 2}", len(body) - MIB // 2, len(body)),
        ("bytes=1048575-", 1048575, len(body)),
    ):
        content = wire.head("GET", path, f"Range: {field}")
        content += wire.head("HEAD", path, close=True)
        first, second = wire.several(content, ["GET", "HEAD"])
        assert first[1] == body[start:end]
        assert second[0] == 200


@pytest.mark.engineless
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v2/", 200),
        ("GET", f"/v2/{PRIVATE}/tags/list", 200),
        ("GET", f"/v2/{PRIVATE}/manifests/v1", 200),
        ("GET", f"/v2/{PRIVATE}/manifests/none", 404),
        ("GET", f"/v2/{PRIVATE}/referrers/sha256:{'0' * 64}", 200),
        ("GET", "/v2/nothing", 404),
        ("POST", UPLOADS, 202),
        ("GET", f"/gitlab/v1/repositories/{PRIVATE}/", 200),
        ("GET", f"/gitlab/v1/repositories/{PRIVATE}/tags/list/", 200),
    ],
)
def test_every_answer_has_a_length(wire: Wire, method: str, path: str, status: int) -> None:
    """Not chunked: a client that keeps the connection knows at once where the answer ends."""
    answer = wire.send(wire.head(method, path, "Content-Length: 0", close=True))
    assert answer.status == status
    assert answer.header("Content-Length") == str(len(answer.body))
    assert not answer.header("Transfer-Encoding")


@pytest.mark.parametrize("codings", ["gzip, chunked", "deflate,chunked", "identity, chunked"])
def test_a_body_in_another_coding_is_refused(wire: Wire, node: Node, codings: str) -> None:
    """It would be stored as it came: compressed, under a digest that nobody asks for."""
    location = wire.upload()
    before = node.parts()
    body = b"5\r\nhello\r\n0\r\n\r\n"
    for method, path in (("PATCH", location), ("PUT", f"/v2/{PRIVATE}/manifests/te")):
        answer = wire.send(wire.head(method, path, f"Transfer-Encoding: {codings}") + body)
        assert (answer.status, answer.codes) == (501, ["UNSUPPORTED"])
    # What others had begun may go meanwhile.
    assert node.parts() <= before
