"""A line between a client and the registry that lets so many bytes a second through."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

from tests.e2e.components import free_port

_PIECE = 4096


class SlowLine:
    """A TCP proxy to `target` (a port of this machine), slow towards it, quick back."""

    def __init__(self, target: int, bytes_per_second: int) -> None:
        self.port = free_port()
        self._target, self._rate = target, bytes_per_second
        self._listener = socket.socket()
        # Little is under way unseen, so that what was sent has nearly arrived. Connections inherit
        # it; set on one that is open it makes the window close, and the kernel wait.
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 64 * 1024)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("127.0.0.1", self.port))
        self._listener.listen(64)
        self._listener.settimeout(0.2)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def start(self) -> None:
        """Take connections."""
        self._thread.start()

    def stop(self) -> None:
        """Take no more, and let those that there are end."""
        self._ended.set()
        self._thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            with suppress(TimeoutError):
                client, _ = self._listener.accept()
                client.settimeout(None)
                server = socket.create_connection(("127.0.0.1", self._target))
                for source, sink, rate in ((client, server, self._rate), (server, client, 0)):
                    threading.Thread(
                        target=self._carry, args=(source, sink, rate), daemon=True
                    ).start()

    def _carry(self, source: socket.socket, sink: socket.socket, rate: int) -> None:
        due = 0.0
        with suppress(OSError):
            while piece := source.recv(_PIECE if rate else 65536):
                sink.sendall(piece)
                if rate:
                    # What a busy machine sleeps too long is caught up; a quiet time is not.
                    now = time.monotonic()
                    due = max(due, now - 0.5) + len(piece) / rate
                    time.sleep(max(0.0, due - now))
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_WR if end is sink else socket.SHUT_RD)
