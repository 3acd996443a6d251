"""Clients' connections: what can't be done at once is waited for aside, and not for ever."""

from __future__ import annotations

import io
import os
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gitlab.server.gunicorn.sockets import ClientSocket, TLSClientSocket
from tokens import keys

pytestmark = pytest.mark.engineless
LARGE = 8_000_000


class Aside:
    """What threads offer, counted."""

    def __init__(self) -> None:
        self.entered = 0
        self.is_in = threading.Event()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        self.entered += 1
        self.is_in.set()
        try:
            yield
        finally:
            self.is_in.clear()


@pytest.fixture
def aside(monkeypatch: pytest.MonkeyPatch) -> Aside:
    found = Aside()
    monkeypatch.setattr("gitlab.server.gunicorn.sockets._aside", found)
    return found


@pytest.fixture
def ends(aside: Aside) -> Iterator[tuple[socket.socket, ClientSocket]]:
    """The client's end and the server's."""
    client, accepted = socket.socketpair()
    server = ClientSocket.of(accepted)
    with client, server:
        yield client, server


def later(aside: Aside, act: object, *arguments: object) -> threading.Thread:
    """Do something as soon as the other side waits aside."""

    def run() -> None:
        assert aside.is_in.wait(20)
        act(*arguments)  # type: ignore[operator]

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def everything(client: socket.socket) -> bytes:
    found = bytearray()
    while piece := client.recv(65536):
        found += piece
    return bytes(found)


def test_it_keeps_its_timeout_and_its_descriptor() -> None:
    client, accepted = socket.socketpair()
    accepted.setblocking(False)
    number = accepted.fileno()
    with client, ClientSocket.of(accepted) as server:
        assert server.fileno() == number
        assert server.gettimeout() == 0
        assert accepted.fileno() == -1
        with pytest.raises(BlockingIOError):
            server.recv(1)


class TestReceiving:
    def test_what_is_there(self, ends: tuple[socket.socket, ClientSocket], aside: Aside) -> None:
        ends[0].sendall(b"there")
        assert ends[1].recv(100) == b"there"
        ends[0].close()
        assert ends[1].recv(100) == b""
        assert aside.entered == 0

    @pytest.mark.parametrize("timeout", [None, 20])
    def test_what_comes_later(
        self, ends: tuple[socket.socket, ClientSocket], aside: Aside, timeout: int | None
    ) -> None:
        ends[1].settimeout(timeout)
        thread = later(aside, ends[0].sendall, b"later")
        assert ends[1].recv(100) == b"later"
        assert aside.entered == 1
        assert not aside.is_in.is_set()
        thread.join()

    def test_what_does_not_come(
        self, ends: tuple[socket.socket, ClientSocket], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gitlab.server.gunicorn.sockets.SILENCE", 0.05)
        with pytest.raises(ConnectionResetError):
            ends[1].recv(1)
        ends[1].settimeout(0.05)
        with pytest.raises(TimeoutError):
            ends[1].recv(1)


class TestSending:
    def test_what_fits(self, ends: tuple[socket.socket, ClientSocket], aside: Aside) -> None:
        ends[1].sendall(b"fits")
        assert ends[0].recv(100) == b"fits"
        assert aside.entered == 0

    def test_what_is_read_later(
        self, ends: tuple[socket.socket, ClientSocket], aside: Aside
    ) -> None:
        content = os.urandom(LARGE)
        found: list[bytes] = []
        thread = later(aside, lambda: found.append(everything(ends[0])))
        ends[1].sendall(content)
        ends[1].close()
        thread.join()
        assert found == [content]
        assert aside.entered == 1

    def test_a_file(
        self, ends: tuple[socket.socket, ClientSocket], aside: Aside, tmp_path: Path
    ) -> None:
        content = os.urandom(LARGE)
        (tmp_path / "file").write_bytes(content)
        found: list[bytes] = []
        thread = later(aside, lambda: found.append(everything(ends[0])))
        with io.FileIO(tmp_path / "file") as file:
            assert ends[1].sendfile(file, offset=7, count=LARGE - 10) == LARGE - 10
        assert ends[1].gettimeout() is None
        ends[1].close()
        thread.join()
        assert found == [content[7:-3]]
        assert aside.entered == 1

    @pytest.mark.parametrize("is_file", [False, True])
    def test_what_is_not_read(
        self,
        ends: tuple[socket.socket, ClientSocket],
        aside: Aside,
        monkeypatch: pytest.MonkeyPatch,
        tmp_path: Path,
        *,
        is_file: bool,
    ) -> None:
        monkeypatch.setattr("gitlab.server.gunicorn.sockets.SILENCE", 0.05)
        (tmp_path / "file").write_bytes(bytes(LARGE))
        with io.FileIO(tmp_path / "file") as file:
            send, what = (ends[1].sendfile, file) if is_file else (ends[1].sendall, bytes(LARGE))
            with pytest.raises(ConnectionResetError):
                send(what)  # type: ignore[operator]
        assert aside.entered == 1
        assert not aside.is_in.is_set()


@pytest.mark.parametrize("into", [False, True])
def test_leave_is_given_once_and_when_somebody_reads(
    ends: tuple[socket.socket, ClientSocket], into: bool
) -> None:
    client, server = ends
    server.owes_leave = True
    client.sendall(b"body")
    assert server.recv(4, socket.MSG_PEEK) == b"body"
    with pytest.raises(BlockingIOError):
        client.recv(100, socket.MSG_DONTWAIT)
    for _ in range(2):
        assert (server.recv_into(bytearray(2)) if into else len(server.recv(2))) == 2
    assert client.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    with pytest.raises(BlockingIOError):
        client.recv(100, socket.MSG_DONTWAIT)


def contexts(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's, whose connections are ours, and a client's."""
    key, certificate = keys.generate()
    (folder / "key").write_bytes(key)
    (folder / "certificate").write_bytes(certificate)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "certificate", folder / "key")
    server.sslsocket_class = TLSClientSocket
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    return server, client


@pytest.mark.parametrize("into", [False, True])
def test_half_a_record_is_waited_for_aside(aside: Aside, tmp_path: Path, into: bool) -> None:
    for_server, for_client = contexts(tmp_path)
    ours, theirs = socket.socketpair()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = for_client.wrap_bio(incoming, outgoing)
    content, found, has_met = os.urandom(8000), bytearray(8000), threading.Event()

    def receive() -> None:
        server = for_server.wrap_socket(theirs, server_side=True)
        server.settimeout(None)
        aside.is_in.clear()
        aside.entered = 0
        has_met.set()
        if into:
            assert server.recv_into(memoryview(found)) == len(content)
        else:
            found[:] = server.recv(len(content))

    thread = threading.Thread(target=receive)
    thread.start()
    while True:
        try:
            client.do_handshake()
            break
        except ssl.SSLWantReadError:
            ours.sendall(outgoing.read())
            incoming.write(ours.recv(65536))
    ours.sendall(outgoing.read())
    assert has_met.wait(10)
    client.write(content)
    record = outgoing.read()
    ours.sendall(record[:100])
    assert aside.is_in.wait(10)
    ours.sendall(record[100:])
    thread.join(10)
    ours.close()
    assert found == content
    assert (aside.entered, aside.is_in.is_set()) == (1, False)
