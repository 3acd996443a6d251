"""gunicorn's threads: quick with clients that ask again, and never kept by those that are slow.

**Quick.** gunicorn gives each request to a thread by a queue, and each connection back to its main
thread by a pipe: for a client that sends one small request after the other this costs more than the
answer. A thread that waits two milliseconds for the next request leaves all of that out. It stays only
while no other connection waits for a thread, so nobody is served later for it.

**Never kept.** A thread that waits for the rest of a request's head steps aside (`RequestThreads`).
An application does the same with ``environ["berth.aside"]``, a context, while it waits for a body or
sends one. So those who are slow on purpose take connections, of which there are many, and no threads.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import sys
import time
from typing import Any

from gunicorn.workers import gthread

from gitlab.request_threads import RequestThreads

_STAY = 2
"""Milliseconds for the next request on a connection."""

_FIRST_BYTE = 10
"""Milliseconds for a new connection's first byte; after that gunicorn's poll waits for it."""

_HEAD_TIME = 30.0
"""Seconds for the whole head of a request."""

_BEGIN_AGAIN = 1.0
"""Seconds after which gunicorn may start a worker anew for which there was no descriptor."""

_MOST_HEADS = 4096
_HEAD = 64 * 1024
"""Bytes that are looked at: more than gunicorn takes for a head."""


class BerthWorker(gthread.ThreadWorker):
    """gunicorn's ``gthread`` with threads of its own; see above."""

    wsgi: Any

    def init_process(self) -> None:
        """See `gunicorn.workers.base.Worker.init_process`.

        gunicorn ends itself where a worker can't begin. That is right for a fault in the code, which
        would be the same again; a descriptor may be free a second later.
        """
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
        return RequestThreads(self.cfg.threads)

    def load_wsgi(self) -> None:
        """Let the application find the threads in its environment."""
        super().load_wsgi()
        application: Any = self.wsgi
        aside = self.tpool.aside

        def with_aside(environ: dict[str, Any], start_response: Any) -> Any:
            environ["berth.aside"] = aside
            return application(environ, start_response)

        self.wsgi = with_aside

    def handle(self, conn: Any) -> Any:
        """Answer what comes on a connection; True where it is to be kept for more.

        See `gunicorn.workers.gthread.ThreadWorker.handle`.
        """
        if not conn.initialized and not conn.data_ready and not _readable(conn.sock, _FIRST_BYTE):
            return gthread._DEFER  # noqa: SLF001 - as the method itself does, five seconds later
        keep = self._answer(conn)
        while keep is True and self.alive and self._is_next_here(conn):
            keep = self._answer(conn)
        return keep

    def _answer(self, conn: Any) -> Any:
        if not self._has_head(conn) and not self._await_head(conn):
            self.log.debug("a request's head did not come in time")
            return False
        return super().handle(conn)

    def _is_next_here(self, conn: Any) -> bool:
        # A TLS connection may have read ahead, so that its socket has nothing more to say.
        if self.tpool.queued or type(conn.sock) is not socket.socket:
            return False
        return _readable(conn.sock, _STAY)

    def _has_head(self, conn: Any) -> bool:
        """Whether the parser will not have to wait: for what is no head, it need not either."""
        if self.cfg.is_ssl or (conn.parser and conn.parser.unreader.buf.getbuffer().nbytes):
            return True
        head = _peek(conn.sock, _MOST_HEADS)
        if head is not None and len(head) == _MOST_HEADS and b"\r\n\r\n" not in head:
            head = _peek(conn.sock)
        return head is None or b"\r\n\r\n" in head or len(head) == _HEAD or not _may_grow(head)

    def _await_head(self, conn: Any) -> bool:
        """Wait aside until the head is there, or the client has ended it; False after `_HEAD_TIME`."""
        until = time.monotonic() + _HEAD_TIME
        with self.tpool.aside():
            try:
                while not self._has_head(conn):
                    before = len(_peek(conn.sock) or b"")
                    # So that the poll waits for one byte more than there is.
                    conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, before + 1)
                    left = until - time.monotonic()
                    if left <= 0 or not _readable(conn.sock, left * 1000):
                        return False
                    if len(_peek(conn.sock) or b"") == before:
                        break
            finally:
                conn.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVLOWAT, 1)
        return True


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


def _may_grow(head: bytes) -> bool:
    """Whether it looks like a method's name: clients that try TLS first begin with another byte."""
    return not head or head[:1].isalpha()
