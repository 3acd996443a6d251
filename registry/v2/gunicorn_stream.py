"""A request's body straight from gunicorn's connection, with fewer copies.

gunicorn's own reader passes each byte through several buffers, and decodes a chunked body in steps
of what a client happens to send, which for docker is 32 KiB. This is the path that carries
gigabytes. So, where the stream is gunicorn's and nobody has read from it, the bytes are taken from
the socket in large pieces, and gunicorn's reader is left as if it had read them itself: what
follows on the connection is the next request.

A client that is slower than `_PATIENCE` is waited for aside: ``environ["berth.aside"]`` is a
context in which a thread counts as none of those that work. Until a whole piece has come it stays
there, so one that sends a byte now and then takes nothing from the others.

Sources: RFC 9112, sections 6 and 7.1; gunicorn 27, ``gunicorn.http.body``. Anything unexpected
makes `open_stream` answer None, and the ordinary stream is read.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import logging
import re
import select
import socket
import ssl
import struct
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Protocol

from registry.storage.base import Chunk

try:
    from gunicorn.http.body import Body, ChunkedReader, LengthReader
except ImportError:  # Another server, or none: as in the tests' client.
    Body = None

log = logging.getLogger(__name__)

PIECE = 256 * 1024
"""Bytes in one piece, except the last. Each upload under way holds two."""

_BUFFER = 128 * 1024
"""Bytes of a chunked body that are received without knowing where they belong. Of a chunk that has
as many to come they are received where they belong."""

_PATIENCE = 0.25
"""Seconds without a byte, or for one piece, after which a client counts as slow."""

_SILENCE = 300.0
"""Seconds without a byte after which the connection counts as broken."""

_INSIDE = "the connection ended inside the chunked coding"
_LINE_LIMIT = 8190
_TRAILER_LIMIT = 64 * 1024
_SIZE_LINE = re.compile(rb"([0-9a-fA-F]{1,15})[ \t]*(?:;[\t !-~\x80-\xff]*)?")


def _place() -> memoryview:
    return memoryview(bytearray(PIECE))


class BrokenStream(OSError):
    """The connection ended early, or the chunked coding is wrong."""


class Stream(Protocol):
    """A body that can be read once, in pieces."""

    def pieces(self) -> Iterator[Chunk]:
        """The body; a piece is good until the second one after it is asked for. Raises
        `BrokenStream`, `OSError`.

        They take turns in two places: memory for each anew would take as long as to hash it, since
        what is given back to the system has to be had, and emptied, again (see `registry.memory`).
        """


def open_stream(environ: dict[str, Any]) -> Stream | None:
    """The direct stream of a request, None where it is to be read in the ordinary way."""
    body: Any = environ.get("wsgi.input")
    connection = environ.get("gunicorn.socket")
    if Body is None or type(body) is not Body or not isinstance(connection, socket.socket):
        _say_so(type(body).__qualname__)
        return None
    reader = body.reader
    if body.buf.tell():
        return None
    aside = environ.get("berth.aside", nullcontext)
    if type(reader) is LengthReader:
        return _LengthStream(body, connection, reader.unreader, aside)
    if type(reader) is ChunkedReader and reader.parser is not None:
        # The generator holds what it reads from; it must not have started to read.
        if inspect.getgeneratorstate(reader.parser) != inspect.GEN_CREATED:
            return None
        held = inspect.getgeneratorlocals(reader.parser)
        return _ChunkedStream(body, connection, held["unreader"], aside)
    return None


@functools.cache
def _say_so(kind: str) -> None:
    """Once for each kind of stream in a process: somebody may wonder why uploads are slower."""
    log.info("request bodies are read in the ordinary way: %s is not read past", kind)


class _Connection:
    """What is left in gunicorn's buffer, then the socket."""

    def __init__(
        self,
        body: Any,
        connection: socket.socket,
        unreader: Any,
        aside: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self.body, self.socket, self.unreader = body, connection, unreader
        # A TLS connection knows no flags, and its limit would be that of a record.
        self.plain = not isinstance(connection, ssl.SSLSocket)
        self._give_leave = getattr(connection, "give_leave", lambda: None)
        self._step_aside = aside
        self._away = ExitStack()
        self._is_limited = self._is_away = False

    def pieces(self) -> Iterator[Chunk]:
        """See `Stream.pieces`."""
        try:
            for piece in self._pieces():
                self._come_back()
                yield piece
        finally:
            self._come_back()
            if self._is_limited:
                self._limit(0)

    def _pieces(self) -> Iterator[Chunk]:
        raise NotImplementedError

    def fill(self, view: memoryview) -> int:
        """Receive as many bytes as `view` has, or fewer where the connection ends before; of a TLS
        connection the next ones. How many.
        """
        if not self.plain:
            return self.receive_into(view)
        size = len(view)
        count = self._receive(lambda: self.socket.recv_into(view, size, socket.MSG_WAITALL))
        if count in (0, size):
            return count
        self._go_away()
        while count < size:
            more = self.receive_into(view[count:])
            if not more:
                break
            count += more
        return count

    def receive_into(self, view: memoryview) -> int:
        """Receive what there is into `view`; how many bytes."""
        return self._receive(lambda: self.socket.recv_into(view))

    def _receive(self, read: Callable[[], int]) -> int:
        """What `read` gives, however long it takes to come."""
        try:
            if self.plain and not self._is_limited:
                self._limit(_PATIENCE)
            if not self.plain:
                # Before waiting: a client may wait for leave to send.
                self._give_leave()
                if not self._has_more(_PATIENCE):
                    self._wait()
            while True:
                try:
                    return read()
                except BlockingIOError:
                    self._wait()
        except BaseException:
            self.body.failed = True
            raise

    def _limit(self, seconds: float) -> None:
        """Let the kernel end a wait for bytes after so long: that costs no call of its own."""
        whole, rest = divmod(seconds, 1)
        limit = struct.pack("ll", int(whole), int(rest * 1_000_000))
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._is_limited = bool(seconds)

    def _has_more(self, seconds: float) -> bool:
        if not self.plain and self.socket.pending():  # type: ignore[attr-defined]
            return True
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def _wait(self) -> None:
        self._go_away()
        if not self._has_more(_SILENCE):
            raise self.broken(f"nothing came for {_SILENCE:.0f} seconds")

    def _go_away(self) -> None:
        if not self._is_away:
            self._away.enter_context(self._step_aside())
            self._is_away = True

    def _come_back(self) -> None:
        if self._is_away:
            self._away.close()
            self._is_away = False

    def broken(self, why: str) -> BrokenStream:
        """The error to raise; the connection is not used again."""
        self.body.failed = True
        return BrokenStream(why)


class _LengthStream(_Connection):
    """A body of known length."""

    def _pieces(self) -> Iterator[Chunk]:
        reader = self.body.reader
        held = self.unreader.take_buffered()
        if len(held) > reader.length:
            self.unreader.unread(held[reader.length :])
            held = held[: reader.length]
        if held:
            reader.length -= len(held)
            yield held
        size = min(PIECE, reader.length)
        # A body that comes in one piece needs no second place. That of a TLS connection does not.
        is_one = self.plain and size == reader.length
        places = [memoryview(bytearray(size)) for _ in range(1 if is_one else 2)]
        for place in itertools.cycle(places):
            if not reader.length:
                return
            count = self.fill(place[: reader.length])
            if not count:
                raise self.broken(f"the connection ended {reader.length} bytes early")
            reader.length -= count
            yield place[:count]


class _ChunkedStream(_Connection):
    """A body in the chunked coding."""

    def __init__(self, *connection: Any) -> None:
        super().__init__(*connection)
        self._data = bytearray()
        self._at = self._end = 0

    def _pieces(self) -> Iterator[Chunk]:
        """Chunks are joined to pieces of `PIECE`."""
        held = self.unreader.take_buffered()
        self._data = bytearray(max(_BUFFER, len(held)))
        self._data[: len(held)] = held
        self._end = len(held)
        piece, other, filled = _place(), None, 0
        # Until the end has come: gunicorn's reader, which has not begun, would look for a chunk
        # inside of one, and take what the client has written there for its next request.
        self.body.failed = True
        while left := self._next_size():
            while left:
                count = self._put(piece[filled : filled + left])
                left -= count
                filled += count
                if filled == PIECE:
                    yield piece
                    piece, other, filled = other or _place(), piece, 0
            if self._exactly(2) != b"\r\n":
                raise self.broken("a chunk does not end where it said")
        self._read_trailers()
        self.unreader.unread(bytes(self._data[self._at : self._end]))
        self.body.reader.parser = None
        self.body.failed = False
        if filled:
            yield piece[:filled]

    def _more(self) -> None:
        """Receive behind what is left, which moves to the buffer's front.

        There is always room: what is left is at most the start of a line.
        """
        rest = self._end - self._at
        if self._at:
            self._data[:rest] = self._data[self._at : self._end]
            self._at, self._end = 0, rest
        with memoryview(self._data) as view:
            received = self.receive_into(view[rest:])
        if not received:
            raise self.broken(_INSIDE)
        self._end += received

    def _put(self, view: memoryview) -> int:
        """Put bytes of a chunk into `view`, which it fills; how many: at least one."""
        count = min(len(view), self._end - self._at)
        if not count and len(view) >= _BUFFER:
            count = self.fill(view)
            if not count:
                raise self.broken(_INSIDE)
            return count
        if not count:
            self._more()
            count = min(len(view), self._end - self._at)
        view[:count] = memoryview(self._data)[self._at : self._at + count]
        self._at += count
        return count

    def _exactly(self, count: int) -> bytes:
        while self._end - self._at < count:
            self._more()
        self._at += count
        return bytes(self._data[self._at - count : self._at])

    def _line(self, limit: int) -> bytes:
        """The next line, without its end. A bare LF or CR in it is refused."""
        while (end := self._data.find(b"\r\n", self._at, self._end)) < 0:
            if self._end - self._at > limit:
                raise self.broken("a line of the chunked coding is too long")
            self._more()
        line = bytes(self._data[self._at : end])
        if len(line) > limit or b"\n" in line or b"\r" in line:
            raise self.broken("a malformed line in the chunked coding")
        self._at = end + 2
        return line

    def _next_size(self) -> int:
        matched = _SIZE_LINE.fullmatch(self._line(_LINE_LIMIT))
        if matched is None:
            raise self.broken("a malformed size in the chunked coding")
        return int(matched[1], 16)

    def _read_trailers(self) -> None:
        """Ignore the trailer fields: nobody here asks for them."""
        left = _TRAILER_LIMIT
        while line := self._line(_LINE_LIMIT):
            left -= len(line)
            if left < 0 or b":" not in line:
                raise self.broken("malformed or too many trailers")
