"""gunicorn's threads, which stay for a moment with the connection that they have answered.

gunicorn gives each request to a thread by a queue, and each connection back to its main thread by a
pipe: for a client that sends one small request after the other this costs more than the answer. A
thread that waits two milliseconds for the next request leaves all of that out. It stays only while
no other connection waits for a thread, so nobody is served later for it.
"""

from __future__ import annotations

import select
import socket
from typing import Any

from gunicorn.workers.gthread import ThreadWorker

_STAY = 2
"""Milliseconds."""


class StayingThreads(ThreadWorker):
    """gunicorn's ``gthread``, with `handle` repeated while the next request is there."""

    def handle(self, conn: Any) -> Any:
        """Answer what comes on a connection; True where it is to be kept for more.

        See `gunicorn.workers.gthread.ThreadWorker.handle`.
        """
        keep = super().handle(conn)
        while keep is True and self.alive and self._is_next_here(conn):
            keep = super().handle(conn)
        return keep

    def _is_next_here(self, conn: Any) -> bool:
        others_wait = self.tpool._work_queue.qsize()  # noqa: SLF001 - nothing public tells it
        # A TLS connection may have read ahead, so that its socket has nothing more to say.
        if others_wait or type(conn.sock) is not socket.socket:
            return False
        poll = select.poll()
        poll.register(conn.sock, select.POLLIN)
        return bool(poll.poll(_STAY))
