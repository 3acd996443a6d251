"""What is counted of requests. The hot path of a registry passes here: it leaves a note."""

from __future__ import annotations

import atexit
import threading
import time
from collections import Counter as TallyOf
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from prometheus_client import Counter, Gauge, Histogram

from gitlab.server.metrics import exposition

_SENDING = frozenset({"POST", "PUT", "PATCH"})
_METHODS = _SENDING | {"GET", "HEAD", "DELETE", "OPTIONS"}
_OUTCOMES = {200: "granted", 400: "malformed", 401: "refused", 403: "denied", 429: "limited"}

SECONDS = Histogram(
    "berth_request_seconds",
    "From a request's head to the head of its answer, a body that was sent included.",
    ["role", "method", "route"],
    buckets=(0.005, 0.02, 0.1, 0.5, 2, 10, 60, 600),
)
ANSWERED = Counter("berth_requests", "Requests answered.", ["role", "method", "route", "status"])
RECEIVED = Counter("berth_received_bytes", "Bytes of bodies that were received.", ["role"])
SENT = Counter("berth_sent_bytes", "Bytes of answers, as announced.", ["role"])
SENDING = Gauge(
    "berth_bodies_in_progress",
    "Requests whose body is being received: uploads in flight.",
    ["role"],
    multiprocess_mode="livesum",
)
TOKENS = Counter("berth_tokens", "Answers of the token endpoint.", ["outcome"])

# Looking up a child by its labels takes a lock; this takes a dictionary.
_seconds = cache(SECONDS.labels)
_sending = cache(SENDING.labels)
_received = cache(RECEIVED.labels)

INTERVAL = 1.0
"""Seconds in which what was noted is written down."""

_Note = tuple[str, str, str, int, float, int]
_noted: deque[_Note] = deque()
_wake = threading.Event()
_writer: list[threading.Thread] = []


def note(entry: _Note) -> None:
    """Count a request, a second later.

    Numbers live in files that processes share, each behind a lock: sixteen threads at them cost a
    tenth of all requests, one thread that does it for all next to nothing.
    """
    _noted.append(entry)
    if not _wake.is_set():
        _wake.set()
        if not _writer:
            _writer.append(threading.Thread(target=_write, name="metrics", daemon=True))
            _writer[0].start()
            atexit.register(flush)


def _write() -> None:
    while True:
        _wake.wait()
        time.sleep(INTERVAL)
        # Before the notes are read: one that comes now sets it again.
        _wake.clear()
        flush()


def flush() -> None:
    """Write down what was noted."""
    answered: TallyOf[tuple[str, str, str, int]] = TallyOf()
    sent: TallyOf[str] = TallyOf()
    while _noted:
        try:
            role, method, route, status, took, length = _noted.popleft()
        except IndexError:  # Another thread had it.
            break
        if method not in _METHODS:  # Or a stranger could make numbers without end.
            method = "other"
        _seconds(role, method, route).observe(took)
        answered[role, method, route, status] += 1
        if method != "HEAD":
            sent[role] += length
    for labels, count in answered.items():
        ANSWERED.labels(*labels).inc(count)
        if labels[2] == "jwt/auth":
            TOKENS.labels(_OUTCOMES.get(labels[3], "failed")).inc(count)
    for role, length in sent.items():
        SENT.labels(role).inc(length)


@contextmanager
def receiving(role: str, environ: Mapping[str, Any]) -> Iterator[None]:
    """Count the body of a request, if its method has one, while it is answered; and what came."""
    if environ["REQUEST_METHOD"] not in _SENDING:
        yield
        return
    gauge = _sending(role)
    gauge.inc()
    try:
        yield
    finally:
        gauge.dec()
    # The registry has counted what came; others read what was announced, or nothing.
    received = environ.get("berth.received") or environ.get("CONTENT_LENGTH") or 0
    _received(role).inc(int(received))


class MetricsMiddleware:
    """Counts each request by route and status, and answers ``/-/metrics`` to whoever may ask."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response
        self.role = "-".join(sorted(settings.ROLES))

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.path_info == exposition.PATH:
            return exposition.answer(request)
        with receiving(self.role, request.META):
            return self._counted(request)

    def _counted(self, request: HttpRequest) -> HttpResponseBase:
        began = time.perf_counter()
        response = self.get_response(request)
        took = time.perf_counter() - began
        match = request.resolver_match
        length = response.headers.get("Content-Length")
        note(
            (
                self.role,
                request.method or "",
                match.route if match else "none",
                response.status_code,
                took,
                int(length) if length else 0,
            )
        )
        return response
