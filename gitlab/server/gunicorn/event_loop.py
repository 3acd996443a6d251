"""One thread that answers what takes no time, for all connections that ask for such things.

With a thread for each connection, every call of the system lets another one run: sixteen clients
that pull manifests spend more on changing threads than on answers. What an application answers
before its handler (`gitlab.server.shortcut`) waits for a row of the database and for nothing else.
So a connection that has had such an answer is watched here. Requests that have come at the same
time are answered together, from one question to the database.

Here nobody waits for a client. A request that has not come whole, one that the shortcut has no
answer to, and what a client does not take of an answer are given to the threads that requests have
(`gitlab.server.gunicorn.threads`). A connection that is silent goes back to gunicorn's own poll, as
all do when the worker ends.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

from gunicorn.http import wsgi

from gitlab.server.shortcut import Ready

log = logging.getLogger("gitlab.server.gunicorn.event_loop")

_STAY = 1.0
"""Seconds for the next request on a connection."""

_TOGETHER = 16
"""Requests that are answered together, as many as there are threads: each may be for 4 MiB."""

_HEAD = 8192
"""Bytes of a head that is looked at here. Others are seldom longer."""

_END = b"\r\n\r\n"
_METHODS = (b"GET ", b"HEAD ")
_NOT_HERE = frozenset({"CONTENT-LENGTH", "TRANSFER-ENCODING", "EXPECT", "UPGRADE"})
"""Fields of requests that are more than a head."""


AtOnce = Callable[[Sequence[dict[str, Any]]], Sequence[Ready | None]]
"""What gives the responses to some requests; None for one that somebody else has to answer."""


class Worker(Protocol):
    """The worker that a connection comes from and goes back to. Its methods return at once."""

    cfg: Any
    alive: bool

    def enqueue_req(self, conn: Any) -> None:
        """Answer what comes on a connection, some of which its parser holds already."""

    def enqueue_rest(self, conn: Any, rest: bytes) -> None:
        """Send what is left of an answer, and keep the connection."""

    def give_back(self, conn: Any, *, keep: bool) -> None:
        """Watch a connection from now on, or close it."""


class _Asked(NamedTuple):
    """A request that was read, and what its connection needs to be as it was before."""

    number: int
    conn: Any
    head: bytes
    before: Any
    response: Any = None
    environ: Any = None


class EventLoop:
    """The connections whose next request is awaited here."""

    def __init__(self, worker: Worker, at_once: AtOnce) -> None:
        self._worker, self._at_once = worker, at_once
        self._coming: deque[Any] = deque()
        self._held: dict[int, Any] = {}
        self._looked_at = 0.0
        self._poll = select.epoll()
        self._woken, self._wake = os.pipe()
        for end in (self._woken, self._wake):
            os.set_blocking(end, False)
        self._poll.register(self._woken, select.EPOLLIN)

    def start(self) -> None:
        """Begin to answer, in a thread of its own. It ends with the process."""
        threading.Thread(target=self._run, name="event-loop", daemon=True).start()

    def take(self, conn: Any) -> None:
        """Watch a connection of gunicorn's from now on, which the caller does not use again.

        Its parser holds nothing. To be called by any thread.
        """
        self._coming.append(conn)
        # A full pipe wakes as well.
        with contextlib.suppress(BlockingIOError):
            os.write(self._wake, b"\0")

    def _run(self) -> None:
        while True:
            try:
                self.turn(_STAY / 2)
                self.let_silent_go(time.monotonic())
            except Exception:
                # Others wait for it, so it never ends; nor does it do this all the time.
                log.exception("the event loop has failed, and goes on")
                time.sleep(_STAY)

    def turn(self, seconds: float) -> None:
        """Wait at most so long for requests, and answer those that have come."""
        ready = [number for number, _ in self._poll.poll(seconds, _TOGETHER)]
        if self._woken in ready:
            ready.remove(self._woken)
            self._take_those_that_come()
        self._serve(ready)

    def let_silent_go(self, now: float) -> None:
        """Give connections back whose time is over; all of them where the worker ends.

        Where that does not, they are looked at once in half of the time that they have.
        """
        if self._worker.alive and now < self._looked_at + _STAY / 2:
            return
        self._looked_at = now
        ends = not self._worker.alive
        silent = [number for number, conn in self._held.items() if ends or conn.timeout <= now]
        for number in silent:
            self._worker.give_back(self._let_go(number), keep=True)

    # Connections

    def _take_those_that_come(self) -> None:
        os.read(self._woken, 4096)
        while self._coming:
            conn = self._coming.popleft()
            conn.sock.setblocking(False)
            conn.timeout = time.monotonic() + _STAY
            self._held[conn.sock.fileno()] = conn
            self._poll.register(conn.sock.fileno(), select.EPOLLIN)

    def _let_go(self, number: int) -> Any:
        self._poll.unregister(number)
        return self._held.pop(number)

    # Requests

    def _serve(self, ready: Sequence[int]) -> None:
        asked = [found for number in ready if (found := self._read(number, self._held[number]))]
        for each, answer in zip(asked, self._answers(asked), strict=True):
            if answer is None:
                each.conn.sock.was_asked = True
                self._leave(each)
            else:
                self._send(each, answer)

    def _answers(self, asked: Sequence[_Asked]) -> Sequence[Ready | None]:
        if not asked:
            return []
        try:
            return self._at_once([each.environ for each in asked])
        except Exception:
            # One of them may be to blame, and shall not be so for all.
            log.exception("requests are answered by threads, since answering them has failed")
            return [None] * len(asked)

    def _read(self, number: int, conn: Any) -> _Asked | None:
        """The request that has come on a connection; None where there is none to be answered here.

        The connection is somebody else's then, unless nothing has come.
        """
        try:
            head = conn.sock.recv(_HEAD)
        except BlockingIOError:
            return None
        except OSError:
            head = b""
        asked = _Asked(number, conn, head, conn.parser.mesg)
        if self._worker.alive and _is_whole(head):
            try:
                return self._parsed(asked)
            except Exception as error:  # noqa: BLE001 - whatever it is, a thread finds it too
                log.debug("a request is a thread's: %s", type(error).__name__)
        self._leave(asked)
        return None

    def _parsed(self, asked: _Asked) -> _Asked:
        """`asked` with its request. Raises what gunicorn raises, `StopIteration` too."""
        conn = asked.conn
        conn.parser.unreader.unread(asked.head)
        request = next(conn.parser)
        if request.should_close() or any(name in _NOT_HERE for name, _ in request.headers):
            raise StopIteration
        found = wsgi.create(request, _Pieces(), conn.client, conn.server, self._worker.cfg)
        response, environ = found
        return asked._replace(response=response, environ=environ)

    def _leave(self, asked: _Asked) -> None:
        """Let a thread answer, as if nothing had been read."""
        parser = self._let_go(asked.number).parser
        parser.mesg = asked.before
        parser.unreader.take_buffered()
        parser.unreader.unread(asked.head)
        self._worker.enqueue_req(asked.conn)

    def _send(self, asked: _Asked, answer: Ready) -> None:
        conn, response = asked.conn, asked.response
        try:
            response.start_response(answer.status, answer.headers)
            if answer.body:
                response.write(answer.body)
            response.close()
        except Exception:
            log.exception("a connection is closed, since gunicorn refuses the answer")
            self._worker.give_back(self._let_go(asked.number), keep=False)
            return
        conn.timeout = time.monotonic() + _STAY
        data = b"".join(response.sock)
        try:
            sent = conn.sock.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        except OSError:
            # It has gone, and the next reading says so.
            return
        if sent < len(data):
            self._worker.enqueue_rest(self._let_go(asked.number), data[sent:])


class _Pieces(list[bytes]):
    """What gunicorn's response takes for a connection: it is sent in one go afterwards."""

    def sendall(self, data: bytes) -> None:
        """Keep `data`."""
        self.append(data)


def _is_whole(head: bytes) -> bool:
    """Whether it may be one request without a body, and nothing else."""
    return head.startswith(_METHODS) and head.find(_END) == len(head) - len(_END)
