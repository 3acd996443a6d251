"""Clients' connections: a thread that has to wait for one does so aside.

gunicorn reads and writes in many places: the head of a request, what is left of a body, an answer.
In each of them a client may stop, by chance or on purpose. So it is the socket that knows what to
do: what can't be done at once is waited for aside (`gitlab.server.gunicorn.threads`), and not for
ever. What says itself how long it waits, by a timeout or by flags, is left to do so.
"""

from __future__ import annotations

import select
import socket
import ssl
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from typing import Any, Self, TypeVar

SILENCE = 300.0
"""Seconds in which a client has to send or to read something."""

_HANDSHAKE_TIME = 30.0
_PATIENCE = 0.1
"""Seconds for TLS, which can't be asked whether it would have to wait."""

Aside = Callable[[], AbstractContextManager[None]]
Found = TypeVar("Found")

_aside: Aside = nullcontext


def use(aside: Aside) -> None:
    """Step aside with this context from now on, in all of this process."""
    global _aside  # noqa: PLW0603 - as a worker has one set of threads, for TLS's classes too
    _aside = aside


class GivesLeave:
    """Tells a client that waits with its body to go on, as soon as somebody wants to read it."""

    owes_leave = False
    """Whether a client waits for ``100 Continue``."""

    def give_leave(self, flags: int = 0) -> None:
        """Send it, where it is owed; not for a look at what is there (``MSG_PEEK``)."""
        if self.owes_leave and not flags & socket.MSG_PEEK:
            self.owes_leave = False
            self.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")  # type: ignore[attr-defined]


class HasRequests:
    """Remembers of a connection's requests what the event loop and the shortcut have to know."""

    was_asked = False
    """Whether the shortcut has said of the request that comes now that it is not for it."""

    was_at_once = False
    """Whether the last answer was the shortcut's, and a quick one."""


class ClientSocket(HasRequests, GivesLeave, socket.socket):
    """A connection without TLS."""

    @classmethod
    def of(cls, accepted: socket.socket) -> Self:
        """The same connection; `accepted` is not used again."""
        timeout = accepted.gettimeout()
        family, kind, protocol = accepted.family, accepted.type, accepted.proto
        taken = cls(family, kind, protocol, fileno=accepted.detach())
        taken.settimeout(timeout)
        return taken

    def recv(self, size: int, flags: int = 0, /) -> bytes:
        """See `socket.socket.recv`."""
        self.give_leave(flags)
        timeout = self.gettimeout()
        if flags or timeout == 0:
            return super().recv(size, flags)
        # With a timeout Python waits before it asks the kernel, whatever the flags say.
        if timeout is None or self._is_ready(select.POLLIN, 0):
            try:
                return super().recv(size, socket.MSG_DONTWAIT)
            except BlockingIOError:
                pass
        until = time.monotonic() + (SILENCE if timeout is None else timeout)
        with _aside():
            while True:
                self._wait(select.POLLIN, until)
                try:
                    return super().recv(size, socket.MSG_DONTWAIT)
                except BlockingIOError:
                    continue

    def recv_into(self, *arguments: Any) -> int:
        """See `socket.socket.recv_into`."""
        self.give_leave()
        return super().recv_into(*arguments)

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """See `socket.socket.sendall`."""
        if flags or self.gettimeout() is not None:
            return super().sendall(data, flags)
        try:
            sent = self.send(data, socket.MSG_DONTWAIT)
        except BlockingIOError:
            sent = 0
        if sent == len(data):
            return None
        with _aside(), memoryview(data) as view:
            while sent < len(data):
                self._wait(select.POLLOUT, time.monotonic() + SILENCE)
                try:
                    sent += self.send(view[sent:], socket.MSG_DONTWAIT)
                except BlockingIOError:
                    continue
        return None

    def sendfile(self, file: Any, offset: int = 0, count: int | None = None) -> int:
        """See `socket.socket.sendfile`."""
        before = self.gettimeout()
        with _aside():
            self.settimeout(SILENCE)
            try:
                return super().sendfile(file, offset, count)
            except TimeoutError as error:
                raise _broken() from error
            finally:
                self.settimeout(before)

    def _is_ready(self, what: int, seconds: float) -> bool:
        poll = select.poll()
        poll.register(self, what)
        return bool(poll.poll(seconds * 1000))

    def _wait(self, what: int, until: float) -> None:
        if not self._is_ready(what, max(0, until - time.monotonic())):
            if self.gettimeout() is not None:
                raise TimeoutError("timed out")
            raise _broken()


class TLSClientSocket(HasRequests, GivesLeave, ssl.SSLSocket):
    """A connection with TLS, of which half a record may have come."""

    def do_handshake(self, block: bool = False) -> None:
        """See `ssl.SSLSocket.do_handshake`."""
        before = self.gettimeout()
        with _aside():
            self.settimeout(_HANDSHAKE_TIME)
            try:
                super().do_handshake(block)
            except TimeoutError as error:
                raise _broken() from error
            finally:
                self.settimeout(before)

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        """See `ssl.SSLSocket.recv`."""
        return self._received(lambda: super(TLSClientSocket, self).recv(buflen, flags))

    def recv_into(self, *arguments: Any) -> int:
        """See `ssl.SSLSocket.recv_into`."""
        return self._received(lambda: super(TLSClientSocket, self).recv_into(*arguments))

    def _received(self, receive: Callable[[], Found]) -> Found:
        self.give_leave()
        if self.gettimeout() == 0:
            return receive()
        if self.gettimeout() is not None:
            with _aside():
                return receive()
        with ExitStack() as away:
            return self._patiently(receive, away)

    def sendall(self, data: Any, flags: int = 0) -> None:
        """See `ssl.SSLSocket.sendall`."""
        if self.gettimeout() is not None:
            return super().sendall(data, flags)
        with ExitStack() as away, memoryview(data) as view:
            sent = 0
            while sent < len(data):
                sent += self._patiently(lambda: self.send(view[sent:], flags), away)  # noqa: B023
        return None

    def _patiently(self, act: Callable[[], Found], away: ExitStack) -> Found:
        """What `act` gives; where that takes long, this thread is aside until `away` ends."""
        try:
            self.settimeout(_PATIENCE)
            try:
                return act()
            except TimeoutError:
                away.enter_context(_aside())
            self.settimeout(SILENCE)
            return act()
        except TimeoutError as error:
            raise _broken() from error
        finally:
            self.settimeout(None)


def _broken() -> OSError:
    # What gunicorn takes for a client that has gone, and not for an error of its own.
    return ConnectionResetError(104, "the client has neither sent nor read for too long")
