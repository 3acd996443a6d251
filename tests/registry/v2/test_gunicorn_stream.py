"""The direct way from gunicorn's connection: what it reads, what it leaves, what it refuses."""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import socket
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
from gunicorn.http.body import Body, ChunkedReader, LengthReader
from gunicorn.http.unreader import SocketUnreader
from hypothesis import given, settings
from hypothesis import strategies as st

from registry.v2 import gunicorn_stream
from registry.v2.gunicorn_stream import PIECE, BrokenStream, open_stream

NEXT_REQUEST = b"GET / HTTP/1.1\r\n\r\n"


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's end and the server's."""
    client, server = socket.socketpair()
    with client, server:
        yield client, server


def send(client: socket.socket, wire: bytes, *, close: bool = False) -> None:
    """Send in the background, so that no buffer has to hold it all."""

    def run() -> None:
        # The server's end is closed as soon as it has seen enough.
        with contextlib.suppress(OSError):
            client.sendall(wire)
            if close:
                client.shutdown(socket.SHUT_WR)

    threading.Thread(target=run, daemon=True).start()


def request(server: socket.socket, *, length: int | None = None, buffered: bytes = b"") -> Any:
    """What gunicorn gives to the application, with `buffered` read ahead already."""
    unreader = SocketUnreader(server)
    unreader.unread(buffered)
    reader = (
        ChunkedReader(SimpleNamespace(), unreader)
        if length is None
        else LengthReader(unreader, length)
    )
    return {"wsgi.input": Body(reader), "gunicorn.socket": server}, unreader


def chunked(content: bytes, sizes: Iterator[int]) -> bytes:
    wire, at = b"", 0
    while at < len(content):
        part = content[at : at + max(1, next(sizes))]
        wire += b"%x\r\n%s\r\n" % (len(part), part)
        at += len(part)
    return wire + b"0\r\n\r\n"


def copied(stream: Any) -> list[bytes]:
    """The pieces, each of which may lie where the second one before it lay."""
    return [bytes(piece) for piece in stream.pieces()]


def test_another_stream_is_read_in_the_ordinary_way_and_the_log_says_so_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gunicorn_stream._say_so.cache_clear()
    with caplog.at_level("INFO", logger="registry.v2.gunicorn_stream"):
        assert open_stream({"wsgi.input": io.BytesIO()}) is None
        assert open_stream({"wsgi.input": io.BytesIO()}) is None
    assert [record.getMessage() for record in caplog.records] == [
        "request bodies are read in the ordinary way: BytesIO is not read past"
    ]


@pytest.mark.parametrize("size", [32 * 1024, 1, PIECE, 3 * PIECE + 7])
def test_a_chunked_body_is_whole_and_the_next_request_stays(
    ends: tuple[socket.socket, socket.socket], size: int
) -> None:
    content = os.urandom(2000 if size == 1 else 5 * PIECE + 13)
    wire = chunked(content, itertools.repeat(size)) + NEXT_REQUEST
    environ, unreader = request(ends[1], buffered=wire[:100])
    send(ends[0], wire[100:])
    stream = open_stream(environ)
    assert stream is not None
    pieces = copied(stream)
    assert b"".join(pieces) == content
    # Chunks of a byte make smaller pieces: each part costs memory of its own.
    assert all(len(piece) >= (1024 if size == 1 else PIECE) for piece in pieces[:-1])
    assert environ["wsgi.input"].read() == b""
    rest = unreader.take_buffered()
    while len(rest) < len(NEXT_REQUEST):
        rest += ends[1].recv(len(NEXT_REQUEST))
    assert rest == NEXT_REQUEST


@pytest.mark.parametrize("buffered", [0, 10, 500, 1000])
def test_a_body_with_a_length_is_whole(
    ends: tuple[socket.socket, socket.socket], buffered: int
) -> None:
    content = os.urandom(1000)
    wire = content + NEXT_REQUEST
    environ, _ = request(ends[1], length=len(content), buffered=wire[:buffered])
    send(ends[0], wire[buffered:])
    stream = open_stream(environ)
    assert stream is not None
    assert b"".join(copied(stream)) == content
    assert environ["wsgi.input"].read() == b""
    assert ends[1].recv(100) == NEXT_REQUEST


def test_what_was_read_ahead_beyond_the_length_stays(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    environ, unreader = request(ends[1], length=5, buffered=b"hello" + NEXT_REQUEST)
    stream = open_stream(environ)
    assert stream is not None
    assert copied(stream) == [b"hello"]
    assert unreader.take_buffered() == NEXT_REQUEST


def test_extensions_and_trailers_are_read_over(ends: tuple[socket.socket, socket.socket]) -> None:
    wire = b'5;a="b"\r\nhello\r\n0\r\nChecksum: x\r\nOther: y\r\n\r\n' + NEXT_REQUEST
    environ, unreader = request(ends[1], buffered=wire)
    stream = open_stream(environ)
    assert stream is not None
    assert copied(stream) == [b"hello"]
    assert unreader.take_buffered() == NEXT_REQUEST


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        b"5\r\nhel",
        b"5\r\nhello\r\n",
        b"5\r\nhello\r\n0\r\n",
        b"5\r\nhelloX\r\n0\r\n\r\n",
        b"5\nhello\r\n0\r\n\r\n",
        b"-5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"5_0\r\nhello\r\n0\r\n\r\n",
        b"\r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"fffffffffffffffff\r\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5;" + b"a" * 9000 + b"\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello\r\n0\r\nno colon\r\n\r\n",
        b"5\r\nhello\r\n0\r\n" + b"a: b\r\n" * 20_000 + b"\r\n",
    ],
)
def test_it_refuses_what_is_cut_or_malformed(
    ends: tuple[socket.socket, socket.socket], wire: bytes
) -> None:
    environ, _ = request(ends[1])
    send(ends[0], wire, close=True)
    stream = open_stream(environ)
    assert stream is not None
    with pytest.raises(BrokenStream):
        copied(stream)
    assert environ["wsgi.input"].failed


def test_a_body_that_ends_early_is_refused(ends: tuple[socket.socket, socket.socket]) -> None:
    environ, _ = request(ends[1], length=10)
    send(ends[0], b"hello", close=True)
    stream = open_stream(environ)
    assert stream is not None
    with pytest.raises(BrokenStream):
        copied(stream)
    assert environ["wsgi.input"].failed


@pytest.mark.parametrize("is_chunked", [True, False])
@pytest.mark.parametrize("size", [1, PIECE, 2 * PIECE, 5 * PIECE + 13])
def test_a_piece_stays_as_it_is_until_the_second_after_it_is_asked_for(
    ends: tuple[socket.socket, socket.socket], size: int, is_chunked: bool
) -> None:
    """So it may be hashed while the next one comes; and not for ever, since that takes memory."""
    content = os.urandom(size)
    wire = chunked(content, itertools.repeat(70_000)) if is_chunked else content
    environ, _ = request(ends[1], length=None if is_chunked else size, buffered=wire[:100])
    send(ends[0], wire[100:])
    stream = open_stream(environ)
    assert stream is not None
    found, before = b"", memoryview(b"")
    places = set()
    for piece in stream.pieces():
        found += before
        before = memoryview(piece)
        places.add(id(before.obj))
    assert found + before == content
    # The one that gunicorn had read already is none of the two.
    assert len(places) <= 3


def test_what_a_tls_connection_gives_piece_by_piece_stays_too(
    ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record at a time, also where all of it would fit into one place."""
    content = os.urandom(1000)
    environ, _ = request(ends[1], length=len(content))
    stream: Any = open_stream(environ)
    stream.plain = False
    monkeypatch.setattr(stream, "_has_more", lambda _seconds: True)
    pieces = stream.pieces()
    before = b""
    for start in range(0, len(content), 100):
        ends[0].sendall(content[start : start + 100])
        piece = next(pieces)
        assert bytes(before) == content[max(start - 100, 0) : start]
        assert bytes(piece) == content[start : start + 100]
        before = piece
    assert next(pieces, None) is None


@pytest.mark.parametrize("count", [0, 1])
def test_a_chunked_body_of_which_nobody_wants_the_rest_ends_the_connection(
    ends: tuple[socket.socket, socket.socket], count: int
) -> None:
    """gunicorn would look for the next chunk inside of this one: its sender could choose one."""
    content = os.urandom(2 * PIECE)
    environ, _ = request(ends[1])
    send(ends[0], b"%x\r\n%s" % (3 * PIECE, content))
    stream = open_stream(environ)
    assert stream is not None
    pieces = stream.pieces()
    assert [bytes(next(pieces)) for _ in range(count + 1)] == [
        content[number * PIECE : (number + 1) * PIECE] for number in range(count + 1)
    ]
    pieces.close()  # type: ignore[attr-defined]
    assert environ["wsgi.input"].failed


def test_a_stream_that_was_read_from_is_left_alone(
    ends: tuple[socket.socket, socket.socket],
) -> None:
    environ, _ = request(ends[1], buffered=b"5\r\nhello\r\n0\r\n\r\n")
    assert environ["wsgi.input"].read(2) == b"he"
    assert open_stream(environ) is None
    assert open_stream({"wsgi.input": object()}) is None


@settings(max_examples=60, deadline=None)
@given(
    content=st.binary(max_size=5000),
    sizes=st.lists(st.integers(1, 2000), min_size=1, max_size=20),
    ahead=st.integers(0, 6000),
)
def test_any_division_into_chunks_gives_the_same(
    content: bytes, sizes: list[int], ahead: int
) -> None:
    client, server = socket.socketpair()
    with client, server:
        wire = chunked(content, itertools.cycle(sizes)) + NEXT_REQUEST
        environ, unreader = request(server, buffered=wire[:ahead])
        client.sendall(wire[ahead:])
        stream = open_stream(environ)
        assert stream is not None
        assert b"".join(copied(stream)) == content
        client.shutdown(socket.SHUT_WR)
        rest = unreader.take_buffered()
        while more := server.recv(4096):
            rest += more
        assert rest == NEXT_REQUEST


class Aside:
    """What a server offers to those that wait, counted."""

    def __init__(self) -> None:
        self.entered = 0
        self.is_in = False

    @contextlib.contextmanager
    def __call__(self) -> Iterator[None]:
        self.entered += 1
        self.is_in = True
        try:
            yield
        finally:
            self.is_in = False


class TestSlowClients:
    """A client that keeps one waiting is waited for aside, and nothing of it is lost."""

    @pytest.fixture(autouse=True)
    def _patience(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(gunicorn_stream, "_PATIENCE", 0.02)

    @staticmethod
    def trickle(client: socket.socket, wire: bytes, aside: Aside, count: int) -> None:
        """Send one byte after the other, each when the server waits, and the last ones at once."""

        def run() -> None:
            pause = threading.Event()
            for number in range(count):
                while not aside.is_in:
                    pause.wait(0.005)
                client.sendall(wire[number : number + 1])
            client.sendall(wire[count:])

        threading.Thread(target=run, daemon=True).start()

    @pytest.mark.parametrize("is_chunked", [False, True])
    def test_the_body_is_whole(
        self, ends: tuple[socket.socket, socket.socket], *, is_chunked: bool
    ) -> None:
        content = os.urandom(2 * PIECE + 9)
        wire = chunked(content, itertools.repeat(1000)) if is_chunked else content
        aside = Aside()
        environ, _ = request(ends[1], length=None if is_chunked else len(content))
        environ["berth.aside"] = aside
        self.trickle(ends[0], wire + NEXT_REQUEST, aside, 20)
        stream = open_stream(environ)
        assert stream is not None
        pieces = []
        for piece in stream.pieces():
            # Whoever takes a piece is at work again.
            assert not aside.is_in
            pieces.append(bytes(piece))
        assert b"".join(pieces) == content
        assert 1 <= aside.entered <= 2
        assert not aside.is_in
        assert ends[1].gettimeout() is None
        # The kernel's limit is gone: the next request may come late.
        assert ends[1].getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == bytes(16)

    @pytest.mark.parametrize("length", [100, None])
    def test_one_that_says_nothing_any_more_is_given_up(
        self,
        ends: tuple[socket.socket, socket.socket],
        monkeypatch: pytest.MonkeyPatch,
        length: int | None,
    ) -> None:
        monkeypatch.setattr(gunicorn_stream, "_SILENCE", 0.05)
        aside = Aside()
        environ, _ = request(ends[1], length=length, buffered=b"40\r\nbegun")
        environ["berth.aside"] = aside
        stream = open_stream(environ)
        assert stream is not None
        with pytest.raises(BrokenStream, match="nothing came"):
            copied(stream)
        assert not aside.is_in

    def test_a_quick_one_is_not_waited_for_aside(
        self, ends: tuple[socket.socket, socket.socket], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(gunicorn_stream, "_PATIENCE", 20.0)
        content = os.urandom(3 * PIECE)
        environ, _ = request(ends[1], length=len(content))
        environ["berth.aside"] = aside = Aside()
        send(ends[0], content)
        stream = open_stream(environ)
        assert stream is not None
        assert b"".join(copied(stream)) == content
        assert aside.entered == 0
