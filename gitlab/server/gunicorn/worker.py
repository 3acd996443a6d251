"""gunicorn's threads: quick with clients that ask again, and never kept by those that are slow.

**Quick.** gunicorn gives each request to a thread by a queue, and each connection back to its main
thread by a pipe: for a client that sends one small request after the other this costs more than the
answer. A thread that waits two milliseconds for the next request leaves all of that out. It stays
only while no other connection waits for a thread, so nobody is served later for it.

**Never kept.** A thread that waits for its client steps aside (`RequestThreads`). Connections do
that by themselves (`gitlab.server.gunicorn.sockets`), in whatever part of gunicorn or of an
application it is read or written. An application may do so with ``environ["berth.aside"]``, a
context, where it waits in its own way. So those who are slow on purpose take connections, of which
there are many, and no threads. The head of a request is looked at before gunicorn reads it, so that
all of it has one limit of time.
"""

from __future__ import annotations

import errno
import gc
import os
import select
import socket
import sys
import time
from concurrent.futures import Future
from typing import Any

from gunicorn import util
from gunicorn.http.body import LengthReader
from gunicorn.http.errors import InvalidRequestLine, LimitRequestHeaders
from gunicorn.workers import gthread

from gitlab.server import shortcut
from gitlab.server.gunicorn import errors, sockets
from gitlab.server.gunicorn.event_loop import EventLoop
from gitlab.server.gunicorn.threads import RequestThreads

_TAKEN = object()
"""What has become of a connection that is in the event loop now."""

_STAY = 2
"""Milliseconds for the next request on a connection."""

_FIRST_BYTE = 10
"""Milliseconds for a new connection's first byte; after that gunicorn's poll waits for it."""

_HEAD_TIME = 30.0
"""Seconds for the whole head of a request."""

_BEGIN_AGAIN = 1.0
"""Seconds after which gunicorn may start a worker anew for which there was no descriptor."""

_END = b"\r\n\r\n"
_MOST_HEADS = 4096
_HEAD = 64 * 1024
"""Bytes of a head. gunicorn would take 800 KiB, and wait for each of them."""


_YOUNG = 10_000
"""Objects that have come since Python last looked for those that only hold each other."""


def _look_through_little() -> None:
    """Have Python look for garbage among what requests make, and seldom.

    What is loaded by now lives as long as the process, and requests leave few objects that hold
    each other. Looking through all of it after each few requests took a tenth of their time.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, *gc.get_threshold()[1:])


class BerthWorker(gthread.ThreadWorker):
    """gunicorn's ``gthread`` with threads of its own; see above."""

    wsgi: Any
    event_loop: EventLoop | None = None

    def init_process(self) -> None:
        """See `gunicorn.workers.base.Worker.init_process`.

        gunicorn ends itself where a worker can't begin. That is right for a fault in the code,
        which would be the same again; a descriptor may be free a second later.
        """
        errors.use()
        try:
            super().init_process()
        except Exception as error:
            if self.booted or not lacks_descriptors(error):
                raise
            self.log.error("no file descriptor is left for a worker to begin with: %s", error)
            time.sleep(_BEGIN_AGAIN)
            sys.exit(1)

    def get_thread_pool(self) -> RequestThreads:
        """See `gunicorn.workers.gthread.ThreadWorker.get_thread_pool`."""
        threads = RequestThreads(self.cfg.threads)
        sockets.use(threads.aside)
        return threads

    def load_wsgi(self) -> None:
        """Let the application find the threads in its environment, and the event loop its shortcut.

        What is TLS has no event loop: a record is more or less than a request.
        """
        super().load_wsgi()
        _look_through_little()
        application: Any = self.wsgi
        self.wsgi = _with_threads(application, self.tpool.aside)
        if isinstance(application, shortcut.WithShortcut) and not self.cfg.is_ssl:
            self.event_loop = EventLoop(self, application.at_once)
            self.event_loop.start()

    def handle(self, conn: Any) -> Any:
        """Answer what comes on a connection; True where it is to be kept for more.

        See `gunicorn.workers.gthread.ThreadWorker.handle`.
        """
        if type(conn.sock) is socket.socket:
            conn.sock = sockets.ClientSocket.of(conn.sock)
        if not conn.initialized and not conn.data_ready and not _readable(conn.sock, _FIRST_BYTE):
            return gthread._DEFER  # noqa: SLF001 - as the method itself does, five seconds later
        keep = self._answer(conn)
        while keep is True and self.alive:
            if self.event_loop and conn.sock.was_at_once and not _held(conn):
                self.event_loop.take(conn)
                return _TAKEN
            if not self._is_next_here(conn):
                break
            keep = self._answer(conn)
        if keep is False and conn.sock.fileno() >= 0:
            # gunicorn would do it in its main thread, and wait there until the client closes too.
            conn.sock.setblocking(True)
            util.close_graceful(conn.sock)
        return keep

    def handle_request(self, req: Any, conn: Any) -> Any:
        """See `gunicorn.workers.gthread.ThreadWorker.handle_request`.

        Who waits for leave to send a body (RFC 9110, 10.1.1) gets it when the body is first read,
        where gunicorn would give it before anybody has looked at the request.
        """
        waits = req._expected_100_continue  # noqa: SLF001 - there is no other way to know
        if not waits or not isinstance(conn.sock, sockets.GivesLeave):
            return super().handle_request(req, conn)
        req._expected_100_continue = False  # noqa: SLF001
        conn.sock.owes_leave = True
        try:
            keep = super().handle_request(req, conn)
            # Whether the body comes all the same nobody can know.
            return keep and not (conn.sock.owes_leave and _is_unread(req.body))
        finally:
            conn.sock.owes_leave = False

    def finish_request(self, conn: Any, fs: Future[Any]) -> None:
        """See `gunicorn.workers.gthread.ThreadWorker.finish_request`."""
        if not fs.cancelled() and fs.exception() is None and fs.result() is _TAKEN:
            return
        if conn.sock.fileno() < 0:
            # It would be closed again, and counted out twice.
            self.nr_conns -= 1
        else:
            super().finish_request(conn, fs)

    def give_back(self, conn: Any, *, keep: bool) -> None:
        """See `gitlab.server.gunicorn.event_loop.Worker`."""
        done: Future[bool] = Future()
        done.set_result(keep)
        self.method_queue.defer(self.finish_request, conn, done)

    def enqueue_rest(self, conn: Any, rest: bytes) -> None:
        """See `gitlab.server.gunicorn.event_loop.Worker`."""
        sent = self.tpool.submit(_sent, conn.sock, rest)
        sent.add_done_callback(
            lambda done: self.method_queue.defer(self.finish_request, conn, done)
        )

    def _cap_keepalive(self, deadline: float) -> None:
        """Nor is waited at the end for connections on which nothing has ever come."""
        super()._cap_keepalive(deadline)
        for conn in self.pending_conns:
            conn.timeout = min(conn.timeout, deadline)

    def _answer(self, conn: Any) -> Any:
        if not self.cfg.is_ssl and (refused := self._await_head(conn)):
            return self._refuse(conn, refused)
        return super().handle(conn)

    def _refuse(self, conn: Any, error: Exception) -> bool:
        if isinstance(error, TimeoutError):
            self.log.debug("a request's head did not come in time")
        else:
            conn.sock.setblocking(True)
            self.handle_error(None, conn.sock, conn.client, error)
        return False

    def _is_next_here(self, conn: Any) -> bool:
        # A TLS connection may have read ahead, so that its socket has nothing more to say.
        if self.tpool.queued or self.cfg.is_ssl:
            return False
        return _readable(conn.sock, _STAY)

    def _await_head(self, conn: Any) -> Exception | None:
        """Wait until the head is there, or the client has ended; else why it is not to be
        parsed.
        """
        if (verdict := _judge(conn)) is not _MORE:
            return verdict
        until = time.monotonic() + _HEAD_TIME
        with self.tpool.aside():
            try:
                while verdict is _MORE:
                    before = len(_peek(conn.sock) or b"")
                    # So that the poll waits for one byte more than there is.
                    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, before + 1)
                    left = until - time.monotonic()
                    if left <= 0 or not _readable(conn.sock, left * 1000):
                        break
                    if len(_peek(conn.sock) or b"") == before:
                        return None
                    verdict = _judge(conn)
            finally:
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        return verdict


def _with_threads(application: Any, aside: sockets.Aside) -> Any:
    """`application`, with ``berth.aside``, and with what the event loop has to know of requests."""

    def answer(environ: dict[str, Any], start_response: Any) -> Any:
        connection = environ["gunicorn.socket"]
        environ["berth.aside"] = aside
        if connection.was_asked:
            environ[shortcut.WAS_ASKED] = True
        connection.was_asked = connection.was_at_once = False
        if _owes_leave(connection):
            return application(environ, _closing_without_leave(environ, start_response))
        body = application(environ, start_response)
        connection.was_at_once = environ.get(shortcut.AT_ONCE, False)
        return body

    return answer


def _sent(connection: socket.socket, rest: bytes) -> bool:
    """Send `rest`, which may take long; whether the client has taken all of it."""
    try:
        connection.setblocking(True)
        connection.sendall(rest)
    except OSError:
        return False
    return True


def _owes_leave(connection: Any) -> bool:
    return getattr(connection, "owes_leave", False)


def _closing_without_leave(environ: dict[str, Any], start_response: Any) -> Any:
    """`start_response`, which says ``Connection: close`` where the body was not asked for."""
    connection, body = environ["gunicorn.socket"], environ["wsgi.input"]

    def start(*arguments: Any) -> Any:
        if connection.owes_leave and _is_unread(body):
            start_response.__self__.force_close()
        return start_response(*arguments)

    return start


def _is_unread(body: Any) -> bool:
    """Whether some of a body is still to come; it may have been sent without waiting."""
    reader = body.reader
    return bool(reader.length if isinstance(reader, LengthReader) else reader.parser)


_MORE = TimeoutError()
"""More of the head has to come."""


def _judge(conn: Any) -> Exception | None:
    """None where the parser will not have to wait, `_MORE`, or what is wrong with the head."""
    # What was sent together with the request before has been read with it.
    held = _held(conn)
    head = _peek(conn.sock, _MOST_HEADS)
    if head is not None and len(head) == _MOST_HEADS and _END not in held + head:
        head = _peek(conn.sock)
    if head is None or (_END in head and not held and head[:1].isalpha()):
        return None
    head = held + head
    # Clients that try TLS first begin with another byte, and wait for an answer to it.
    start = head.removeprefix(b"\r\n")
    if start and start != b"\r" and not start[:1].isalpha():
        return InvalidRequestLine("it does not begin with a method")
    # A bare LF is refused as soon as it is parsed.
    if _END in start or start.count(b"\n") != start.count(b"\r\n"):
        return None
    return LimitRequestHeaders("more than 64 KiB") if len(head) >= _HEAD else _MORE


def _held(conn: Any) -> bytes:
    """What has come and was read, but not parsed."""
    found: bytes = conn.parser.unreader.buf.getvalue() if conn.parser else b""
    return found


def lacks_descriptors(error: BaseException | None) -> bool:
    """Whether it was raised since nothing more can be opened, or that is so now."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
            return True
        error = error.__cause__ or error.__context__
    # Python and its libraries may hide the reason, as SQLite does.
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as failed:
        return failed.errno in (errno.EMFILE, errno.ENFILE)
    return False


def _readable(connection: socket.socket, milliseconds: float) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(milliseconds))


def _peek(connection: socket.socket, limit: int = _HEAD) -> bytes | None:
    """What has come and is not read; None where the connection has ended or broken."""
    try:
        return connection.recv(limit, socket.MSG_PEEK | socket.MSG_DONTWAIT) or None
    except BlockingIOError:
        return b""
    except OSError:
        return None
