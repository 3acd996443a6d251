"""The event loop: what it answers, and whom it gives everything else to."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any

import pytest
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.workers.gthread import TConn

from gitlab.server.gunicorn.event_loop import EventLoop
from gitlab.server.gunicorn.sockets import ClientSocket
from gitlab.server.shortcut import Ready

pytestmark = pytest.mark.engineless

GET = b"GET /v2/acme/app/manifests/v1 HTTP/1.1\r\nHost: registry.test\r\n\r\n"
POST = GET.replace(b"GET", b"POST")


class Worker:
    """gunicorn's side, which notes what it is given."""

    def __init__(self) -> None:
        self.cfg, self.alive = Config(), True
        self.enqueued: list[Any] = []
        self.rests: list[tuple[Any, bytes]] = []
        self.back: list[tuple[Any, bool]] = []

    def enqueue_req(self, conn: Any) -> None:
        """To be answered by a thread."""
        self.enqueued.append(conn)

    def enqueue_rest(self, conn: Any, rest: bytes) -> None:
        """To be sent by a thread."""
        self.rests.append((conn, rest))

    def give_back(self, conn: Any, *, keep: bool) -> None:
        """To be watched, or closed."""
        self.back.append((conn, keep))


class Application:
    """A shortcut that answers with what it is told, and notes what it was asked together."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.body: bytes | None = b"{}"

    def __call__(self, environs: Sequence[dict[str, Any]]) -> list[Ready | None]:
        """The same to each."""
        self.asked.append([f"{each['REQUEST_METHOD']} {each['PATH_INFO']}" for each in environs])
        if self.body is None:
            return [None] * len(environs)
        fields = [("Content-Length", str(len(self.body)))]
        return [Ready("200 OK", fields, self.body) for _ in environs]


class Loop:
    """One that is turned by the test, and its clients."""

    def __init__(self, stack: ExitStack) -> None:
        self.worker, self.application = Worker(), Application()
        self.loop = EventLoop(self.worker, self.application)
        self._stack = stack

    def client(self) -> tuple[socket.socket, Any]:
        """A connection that is watched: the client's end, and gunicorn's."""
        client, accepted = socket.socketpair()
        self._stack.enter_context(client)
        server = self._stack.enter_context(ClientSocket.of(accepted))
        conn = TConn(self.worker.cfg, server, ("127.0.0.1", 1), ("127.0.0.1", 5000))
        conn.init()
        self.loop.take(conn)
        self.turn()
        client.setblocking(False)
        return client, conn

    def turn(self) -> None:
        """Let it answer what has come, without waiting for more."""
        self.loop.turn(0)


@pytest.fixture
def loop() -> Iterator[Loop]:
    with ExitStack() as stack:
        yield Loop(stack)


def test_it_answers_again_and_again(loop: Loop) -> None:
    client, _ = loop.client()
    for _ in range(3):
        client.sendall(GET)
        loop.turn()
        head, _, body = client.recv(65536).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK\r\n")
        assert b"Connection: keep-alive" in head
        assert b"Content-Length: 2" in head
        assert body == b"{}"
    assert loop.application.asked == [["GET /v2/acme/app/manifests/v1"]] * 3
    assert (loop.worker.enqueued, loop.worker.rests, loop.worker.back) == ([], [], [])


def test_a_head_alone_is_answered_with_one(loop: Loop) -> None:
    client, _ = loop.client()
    client.sendall(GET.replace(b"GET", b"HEAD"))
    loop.application.body = b""
    loop.turn()
    assert client.recv(65536).endswith(b"\r\n\r\n")


def test_what_has_come_at_the_same_time_is_asked_together(loop: Loop) -> None:
    clients = [loop.client()[0] for _ in range(19)]
    for client in clients:
        client.sendall(GET)
    loop.turn()
    loop.turn()
    assert [len(each) for each in loop.application.asked] == [16, 3]
    assert all(client.recv(65536).endswith(b"{}") for client in clients)


def test_without_a_request_nothing_is_asked(loop: Loop) -> None:
    loop.client()
    loop.turn()
    assert loop.application.asked == []


@pytest.mark.parametrize(
    "sent",
    [
        GET[:-2],
        POST,
        GET + GET,
        GET[:-2] + b"Content-Length: 2\r\n\r\n",
        GET[:-2] + b"Content-Length: 2\r\n\r\n{}",
        GET[:-2] + b"Transfer-Encoding: chunked\r\n\r\n",
        GET[:-2] + b"Expect: 100-continue\r\n\r\n",
        GET[:-2] + b"Upgrade: h2c\r\n\r\n",
        GET[:-2] + b"Connection: close\r\n\r\n",
        GET.replace(b"HTTP/1.1", b"HTTP/1.0"),
        GET[:-2] + b"X-Long: " + b"x" * 9000 + b"\r\n\r\n",
        b"GET  HTTP/1.1\r\n\r\n",
        b"GET /v2/ HTTP/1.1\r\nbroken\r\n\r\n",
        b"GET /v2/ HTTP/1.1\nHost: a\n\r\n\r\n",
        b"\r\n" + GET,
        b"\x16\x03\x01",
    ],
)
def test_any_other_request_is_a_threads_with_every_byte(loop: Loop, sent: bytes) -> None:
    client, conn = loop.client()
    client.sendall(GET)
    loop.turn()
    client.recv(65536)
    before = conn.parser.mesg
    client.sendall(sent)
    loop.turn()
    assert loop.worker.enqueued == [conn]
    assert len(loop.application.asked) == 1
    assert conn.parser.mesg is before
    conn.sock.setblocking(False)
    read = conn.parser.unreader.take_buffered()
    while len(read) < len(sent):
        read += conn.sock.recv(65536)
    assert read == sent


def test_what_the_shortcut_leaves_is_a_threads_as_if_nobody_had_read_it(loop: Loop) -> None:
    client, conn = loop.client()
    loop.application.body = None
    client.sendall(GET)
    loop.turn()
    assert loop.worker.enqueued == [conn]
    assert conn.sock.was_asked
    assert next(conn.parser).path == "/v2/acme/app/manifests/v1"
    loop.turn()
    assert len(loop.application.asked) == 1


def test_a_client_that_has_gone_is_a_threads(loop: Loop) -> None:
    client, conn = loop.client()
    client.close()
    loop.turn()
    assert loop.worker.enqueued == [conn]


def test_nobody_waits_for_a_client_that_does_not_read(loop: Loop) -> None:
    client, conn = loop.client()
    other, _ = loop.client()
    loop.application.body = b"x" * 4_000_000
    client.sendall(GET)
    loop.turn()
    ((waits, rest),) = loop.worker.rests
    assert waits is conn
    read = b""
    while len(read) + len(rest) < 4_000_000:
        read += client.recv(65536)
    whole = (read + rest).partition(b"\r\n\r\n")[2]
    assert whole == loop.application.body
    loop.application.body = b"{}"
    other.sendall(GET)
    loop.turn()
    assert other.recv(65536).endswith(b"{}")


def test_silence_gives_a_connection_back(loop: Loop) -> None:
    (_, silent), (client, conn) = loop.client(), loop.client()
    begun = conn.timeout
    client.sendall(GET)
    loop.turn()
    assert conn.timeout > begun
    loop.loop.let_silent_go(silent.timeout)
    assert loop.worker.back == [(silent, True)]
    client.sendall(GET)
    loop.turn()
    assert len(loop.application.asked) == 2


def test_when_the_worker_ends_all_go_back(loop: Loop) -> None:
    (client, busy), (_, idle) = loop.client(), loop.client()
    loop.worker.alive = False
    client.sendall(GET)
    loop.turn()
    loop.loop.let_silent_go(0)
    assert loop.worker.enqueued == [busy]
    assert loop.worker.back == [(idle, True)]
    assert loop.application.asked == []


def test_a_fault_of_the_application_is_left_to_threads(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them is answered for itself: one may be to blame."""
    connections = [loop.client() for _ in range(2)]

    def fail(environs: object) -> Any:
        raise ZeroDivisionError

    for client, _ in connections:
        client.sendall(GET)
    with monkeypatch.context() as patched:
        patched.setattr(loop.loop, "_at_once", fail)
        loop.turn()
    assert {id(conn) for conn in loop.worker.enqueued} == {id(conn) for _, conn in connections}
    assert all(next(conn.parser).path == "/v2/acme/app/manifests/v1" for _, conn in connections)


def test_a_fault_with_one_request_is_left_to_its_thread(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    create = wsgi.create

    def fail_for_one(request: Any, *arguments: Any) -> Any:
        if request.path == "/bad":
            raise ZeroDivisionError
        return create(request, *arguments)

    (bad, failed), (good, _) = loop.client(), loop.client()
    bad.sendall(GET.replace(b"/v2/acme/app/manifests/v1", b"/bad"))
    good.sendall(GET)
    with monkeypatch.context() as patched:
        patched.setattr(wsgi, "create", fail_for_one)
        loop.turn()
    assert loop.worker.enqueued == [failed]
    assert next(failed.parser).path == "/bad"
    assert good.recv(65536).endswith(b"{}")


def test_an_answer_that_gunicorn_refuses_ends_its_connection_alone(
    loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    (first, failed), (second, _) = loop.client(), loop.client()
    wrong = Ready("200 OK", [("Bad\n", "1")], b"")

    def answers(environs: list[dict[str, Any]]) -> list[Ready]:
        return [
            wrong if each["PATH_INFO"] == "/wrong" else Ready("200 OK", [("A", "b")], b"{}")
            for each in environs
        ]

    first.sendall(GET.replace(b"/v2/acme/app/manifests/v1", b"/wrong"))
    second.sendall(GET)
    with monkeypatch.context() as patched:
        patched.setattr(loop.loop, "_at_once", answers)
        loop.turn()
    assert loop.worker.back == [(failed, False)]
    assert b"{}" in second.recv(65536)
