"""What only a real connection shows: framing, keep-alive, memory, descriptors, sendfile."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import socket
import threading
import time

import pytest

from tests.bad_inputs.attacks import Forge
from tests.bad_inputs.client import Answer, exchange, request
from tests.bad_inputs.server import Node
from tokens.access import Access

pytestmark = pytest.mark.xdist_group("bad-inputs")

PRIVATE = "acme/private-app"
UPLOADS = f"/v2/{PRIVATE}/blobs/uploads/"
MIB = 1024 * 1024


class Wire:
    """Requests with a token, on connections of their own or on one that is kept."""

    def __init__(self, node: Node, forge: Forge) -> None:
        self.node = node
        self.host = f"localhost:{node.registry[1]}"
        self.token = forge.mint(Access.repository(PRIVATE, "pull", "push", "delete"))

    def head(
        self, method: str, path: str, *lines: str, token: bool = True, close: bool = False
    ) -> bytes:
        """The head of a request."""
        given = [f"{method} {path} HTTP/1.1", f"Host: {self.host}"]
        given += [f"Authorization: Bearer {self.token}"] if token else []
        given += ["Connection: close"] if close else []
        return ("\r\n".join([*given, *lines]) + "\r\n\r\n").encode("latin-1")

    def send(self, content: bytes, *, head: bool = False) -> Answer:
        """One exchange."""
        return exchange(self.node.registry, content, head=head)

    def several(self, content: bytes, methods: list[str]) -> list[tuple[int, bytes]]:
        """Everything in one go on one connection; the answers, one for each method."""
        with socket.create_connection(self.node.registry, 20) as connection:
            thread = threading.Thread(target=_send, args=(connection, content), daemon=True)
            thread.start()
            answers = []
            for method in methods:
                response = http.client.HTTPResponse(connection, method=method)
                response.fp.close()
                response.fp = _Unbuffered(connection, "r")  # type: ignore[assignment]
                response.begin()
                answers.append((response.status, response.read()))
            thread.join(20)
            connection.shutdown(socket.SHUT_WR)
            rest = connection.recv(65536)
            assert rest == b"", f"there is more: {rest[:200]!r}"
            return answers

    def upload(self) -> str:
        """The address of a new session."""
        answer = self.send(self.head("POST", UPLOADS, "Content-Length: 0", close=True))
        assert answer.status == 202
        return answer.header("Location")


def _send(connection: socket.socket, content: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(content)


class _Unbuffered(socket.SocketIO):
    """Takes from the socket what it is asked for: no more, since that is the next answer's."""

    def read(self, size: int = -1) -> bytes:
        pieces = []
        while size and (piece := super().read(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


@pytest.fixture
def wire(node: Node, forge: Forge) -> Wire:
    """Who sends."""
    return Wire(node, forge)


def v1(node: Node) -> bytes:
    """The manifest under the tag v1."""
    payload: str = node.fixtures["M1.payload"]
    return payload.encode()


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


@pytest.mark.engineless
@pytest.mark.parametrize(
    "path",
    [
        f"/v2/{PRIVATE}/tags/list?n=1&last=%0d%0aX-Evil:1",
        f"/v2/{PRIVATE}/tags/list?n=1&last=%E2%80%A8%0aX-Evil:1",
        f"/gitlab/v1/repositories/{PRIVATE}/tags/list/?n=1&name=%0d%0aX-Evil:1&sort=name",
        f"/v2/{PRIVATE}/referrers/sha256:{'0' * 64}?artifactType=%0d%0aX-Evil:1",
        f"/v2/{PRIVATE}%0d%0aX-Evil:1/tags/list",
        f"/v2/{PRIVATE}/manifests/v1%0d%0aX-Evil:1",
    ],
)
def test_nothing_that_is_asked_becomes_a_header(wire: Wire, path: str) -> None:
    answer = wire.send(wire.head("GET", path, close=True))
    assert answer.status in (200, 400, 404)
    assert not answer.header("X-Evil")


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"\x16\x03\x01\r\n\r\n", 400),
        (b"GET /v2/ HTTP/9.9\r\n\r\n", 400),
        (b"GET /v2/ HTTP/1.1\r\nHost : x\r\n\r\n", 400),
        (b"PUT /v2/ HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: x\r\n\r\n", 501),
        (b"GET /v2/ HTTP/1.1\r\nHost: x\r\nExpect: <b>cake</b>\r\n\r\n", 417),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 70_000 + b"\r\n\r\n", 431),
    ],
)
def test_what_is_no_http_is_refused_without_a_page(wire: Wire, head: bytes, status: int) -> None:
    answer = wire.send(head)
    assert (answer.status, answer.header("Content-Type")) == (status, "application/json")
    assert answer.codes == ["UNSUPPORTED"]


def test_slashes_in_front_are_read_over(wire: Wire, node: Node) -> None:
    for slashes in ("//", "////"):
        path = f"{slashes}v2/{PRIVATE}/manifests/v1"
        assert wire.send(wire.head("GET", path, close=True)).body == v1(node)


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


@pytest.mark.parametrize("codings", ["gzip, chunked", "deflate,chunked", "identity, chunked"])
def test_a_body_in_another_coding_is_refused(wire: Wire, node: Node, codings: str) -> None:
    """It would be stored as it came: compressed, under a digest that nobody asks for."""
    location = wire.upload()
    before = node.parts()
    body = b"5\r\nhello\r\n0\r\n\r\n"
    for method, path in (("PATCH", location), ("PUT", f"/v2/{PRIVATE}/manifests/te")):
        answer = wire.send(wire.head(method, path, f"Transfer-Encoding: {codings}") + body)
        assert (answer.status, answer.codes) == (501, ["UNSUPPORTED"])
    assert node.parts() == before


def _grown(node: Node, before: int) -> float:
    return (node.rss("registry") - before) / MIB


@pytest.mark.engineless
def test_an_upload_of_tiny_chunks_takes_no_memory(wire: Wire, node: Node) -> None:
    """A million chunks of a byte: what each one costs must not add up."""
    location = wire.upload()
    node.settle()
    before = node.rss("registry")
    peak = [0.0]
    done = threading.Event()

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], _grown(node, before))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    framed = b"1\r\nx\r\n" * 900_000 + b"0\r\n\r\n"
    head = wire.head("PATCH", location, "Transfer-Encoding: chunked", close=True)
    answer = wire.send(head + framed)
    done.set()
    watcher.join()
    assert answer.status == 202
    assert answer.header("Range") == "0-899999"
    assert peak[0] < 32


@pytest.mark.engineless
@pytest.mark.parametrize("chunked", [False, True])
def test_a_large_upload_takes_no_memory(wire: Wire, node: Node, chunked: bool) -> None:
    location = wire.upload()
    node.settle()
    before = node.rss("registry")
    size = 64 * MIB
    piece = bytes(MIB)
    framing = "Transfer-Encoding: chunked" if chunked else f"Content-Length: {size}"
    peak = 0.0
    with socket.create_connection(node.registry, 30) as connection:
        connection.sendall(wire.head("PATCH", location, framing, close=True))
        for _ in range(size // MIB):
            connection.sendall(b"%x\r\n%s\r\n" % (MIB, piece) if chunked else piece)
            peak = max(peak, _grown(node, before))
        if chunked:
            connection.sendall(b"0\r\n\r\n")
        assert b"202" in connection.recv(1000)
    assert peak < 32
    assert wire.send(wire.head("DELETE", location, close=True)).status == 204


def test_many_clients_leave_no_connections_behind(wire: Wire, node: Node) -> None:
    """Each thread keeps one connection to the database; they don't pile up, and nothing fails."""
    failures: list[object] = []

    def work() -> None:
        for _ in range(10):
            for path in (f"/v2/{PRIVATE}/manifests/v1", f"/v2/{PRIVATE}/tags/list"):
                answer = wire.send(wire.head("GET", path, close=True))
                if answer.status != 200:
                    failures.append(answer)

    def crowd() -> int:
        threads = [threading.Thread(target=work, daemon=True) for _ in range(40)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        node.settle()
        return node.descriptors("registry")

    first = crowd()
    assert crowd() <= first + 8
    assert not failures
    if node.urls["registry"].startswith("postgresql"):
        count = node.rows(
            "registry",
            "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%'",
        )
        assert count == [(0,)]


@pytest.mark.postgresql
def test_a_database_that_restarts_is_a_short_refusal(wire: Wire, node: Node) -> None:
    """Every connection is cut: requests are answered with 503 and a wait, then as before."""
    path = f"/v2/{PRIVATE}/manifests/v1"
    threads = [
        threading.Thread(target=lambda: wire.send(wire.head("GET", path, close=True)), daemon=True)
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    node.rows(
        "registry",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    )
    good = 0
    for _ in range(200):
        answer = wire.send(wire.head("GET", path, close=True))
        assert answer.status in (200, 503), answer
        if answer.status == 503:
            assert answer.codes == ["UNAVAILABLE"]
            assert 1 <= int(answer.header("Retry-After")) <= 60
        good = good + 1 if answer.status == 200 else 0
    assert good >= 50


def test_many_wrong_tokens_take_no_memory(wire: Wire, node: Node, forge: Forge) -> None:
    """What is refused is not remembered."""
    before = node.rss("registry")
    for number in range(300):
        token = forge.mint(Access.repository(PRIVATE, "pull"))[:-4] + f"{number:04}"
        headers = [("Authorization", f"Bearer {token}")]
        content = request("GET", "/v2/", wire.host, headers, b"", chunked=False)
        assert wire.send(content).status == 401
    assert _grown(node, before) < 8


def test_the_token_server_survives_odd_forms(node: Node) -> None:
    host = f"localhost:{node.web[1]}"
    form = ("Content-Type", "application/x-www-form-urlencoded")
    bodies = [
        b"", b"&" * 60_000, b"service=container_registry&" + b"scope=a&" * 3000, b"\xff\xfe",
        b"service=container_registry&grant_type=refresh_token&refresh_token=x",
        b"service=container_registry&grant_type=password&username=%00&password=x",
        b"service=container_registry&grant_type=password&username=%ff&password=%ff",
        b"x" * 70_000,
    ]  # fmt: skip
    for body in bodies:
        content = request("POST", "/jwt/auth", host, [form], body, chunked=False)
        answer = exchange(node.web, content)
        assert 400 <= answer.status < 500, (body[:80], answer)
        assert answer.header("Content-Type") == "application/json", (body[:80], answer)
        assert answer.codes
    for media_type in ("multipart/form-data; boundary=x", "application/json", "text/plain"):
        content = request(
            "POST", "/jwt/auth", host, [("Content-Type", media_type)], b"--x--", chunked=False
        )
        answer = exchange(node.web, content)
        assert answer.status == 400
        assert answer.codes == ["UNSUPPORTED"]
    for method in ("PUT", "DELETE", "PATCH", "PROPFIND"):
        answer = exchange(node.web, request(method, "/jwt/auth", host, [], b"", chunked=False))
        assert answer.status == 405
        assert answer.header("Allow")
        assert answer.codes == ["UNSUPPORTED"]
    assert "Traceback" not in node.log_since()
