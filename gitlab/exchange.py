"""One question and its answer, which has an end in bytes and in time, whoever answers.

httpx limits each read. A server that sends a byte now and then, of a header or a body, keeps its
client for as long as it likes; here no read or write waits past the moment at which the exchange of
the thread ends. Nor is anything unpacked, which could make much of little.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

import httpcore
import httpx

_MAX_CONNECTIONS, _MAX_KEPT = 20, 10
_ENCODINGS = ("content-encoding", "transfer-encoding")


Resolve: TypeAlias = Callable[[str, int], Sequence[str]]
"""From a host and a port to the addresses that may be connected to. It may raise what it likes."""


class _Exchange(threading.local):
    ends = float("inf")


_exchange = _Exchange()


class TooLarge(Exception):
    """An answer is longer than what is read of one."""


def exchange(
    http: httpx.Client, question: httpx.Request, *, seconds: float, max_answer: int
) -> httpx.Response:
    """The answer with its body as it was sent, of at most `max_answer` bytes.

    It is there within `seconds`, where `http` has a `Transport`. Raises `TooLarge`, and what httpx
    raises: `httpx.TimeoutException` where the time is over.
    """
    with _within(seconds):
        answer = http.send(question, stream=True)
        try:
            return _read(answer, max_answer)
        finally:
            answer.close()


@contextlib.contextmanager
def opened(
    http: httpx.Client, question: httpx.Request, *, seconds: float
) -> Iterator[httpx.Response]:
    """The answer to be read by whoever asks, who sees to its end in bytes and in time.

    Its headers are there within `seconds`. Raises what httpx raises.
    """
    with _within(seconds):
        answer = http.send(question, stream=True)
    try:
        yield answer
    finally:
        answer.close()


def _read(answer: httpx.Response, max_answer: int) -> httpx.Response:
    body = bytearray()
    for chunk in answer.iter_raw():
        body += chunk
        if len(body) > max_answer:
            raise TooLarge(f"an answer of more than {max_answer:,} bytes")
    kept = [(name, value) for name, value in answer.headers.multi_items() if name not in _ENCODINGS]
    return httpx.Response(
        answer.status_code, headers=kept, content=bytes(body), request=answer.request
    )


@contextlib.contextmanager
def _within(seconds: float) -> Iterator[None]:
    before, _exchange.ends = _exchange.ends, time.monotonic() + seconds
    try:
        yield
    finally:
        _exchange.ends = before


class Transport(httpx.HTTPTransport):
    """httpx's own, over a network that knows when an exchange ends."""

    def __init__(self, context: ssl.SSLContext, resolve: Resolve | None = None) -> None:
        """`context` is for https.

        `resolve` says which addresses a host has. Those are connected to and no others, so that
        what it has looked at is what is called.
        """
        super().__init__(verify=context, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=context,
            max_connections=_MAX_CONNECTIONS,
            max_keepalive_connections=_MAX_KEPT,
            keepalive_expiry=5.0,
            network_backend=_Network(resolve),
        )


class _Network(httpcore.NetworkBackend):
    def __init__(self, resolve: Resolve | None) -> None:
        self._inner = httpcore.SyncBackend()
        self._resolve = resolve

    def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *args: Any, **options: Any
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError("the host has no address")
        for address in self._resolve(host, port) if self._resolve else [host]:
            limit = _at_most(timeout, httpcore.ConnectTimeout)
            try:
                return _Stream(self._inner.connect_tcp(address, port, limit, *args, **options))
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _at_most(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, _at_most(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        timeout = _at_most(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _at_most(timeout: float | None, late: Callable[[str], Exception]) -> float | None:
    """A timeout that ends with the exchange. Raises `late` where that is over."""
    remaining = _exchange.ends - time.monotonic()
    if remaining <= 0:
        raise late("the answer takes too long")
    return min(remaining, float("inf") if timeout is None else timeout)
