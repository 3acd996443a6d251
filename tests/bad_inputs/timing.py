"""How long two requests take that must not be told apart, sent in turn over kept connections.

What exists and what does not must look alike to whoever may not see it: the same status, the same
bytes but for the name, and the same time. Other programs share the machine, so single times say
nothing: the two are sent in random order, pair by pair, and medians are compared.
"""

from __future__ import annotations

import http.client
import random
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.refusals import DENIAL

_NEW_EACH_TIME = {"x-request-id", "date", "set-cookie", "connection", "keep-alive"}
_HIDDEN = [
    (DENIAL, ""),
    (re.compile(r"sha256:[0-9a-f]{64}"), "DIGEST"),
    (re.compile(r"_state=[0-9a-z.]+"), "STATE"),
    (re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"), "SESSION"),
    (re.compile(r'"token": ?"[^"]+"|"access_token": ?"[^"]+"'), "TOKEN"),
    (re.compile(r'"issued_at": ?"[^"]+"'), "TIME"),
    (re.compile(r'(name="csrfmiddlewaretoken" value|nonce|data-request-id)="[^"]+"'), "SECRET"),
    (re.compile(r"[0-9a-f]{32}"), "ID"),
]


@dataclass(frozen=True)
class Request:
    """One of a pair. `named` are the words that may differ in the answers."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    named: tuple[str, ...] = ()
    before: Callable[[], object] | None = None
    """What is done before each, outside of the time."""


@dataclass(frozen=True)
class Measured:
    """Medians in seconds, of so many pairs."""

    existing: float
    missing: float
    pairs: int

    @property
    def apart(self) -> float:
        """How far the one is from the other, as a part of the other."""
        return abs(self.existing - self.missing) / self.missing

    def is_alike(self, slack: float) -> bool:
        """Within a tenth, or within `slack` seconds."""
        allowed = max(0.1 * self.missing, slack)
        return abs(self.existing - self.missing) <= allowed


class Line:
    """A kept connection to one process."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._connection = http.client.HTTPConnection(*address, timeout=60)
        self._host = f"localhost:{address[1]}"

    def send(self, request: Request) -> tuple[float, tuple[object, ...]]:
        """Seconds, and the answer without what is new each time."""
        if request.before is not None:
            request.before()
        headers = {"Host": self._host, **request.headers}
        started = time.perf_counter()
        self._connection.request(request.method, request.path, request.body, headers)
        response = self._connection.getresponse()
        body = response.read()
        seconds = time.perf_counter() - started
        return seconds, _answer(response, body, request.named)

    def close(self) -> None:
        """Hang up."""
        self._connection.close()


def _answer(
    response: http.client.HTTPResponse, body: bytes, named: tuple[str, ...]
) -> tuple[object, ...]:
    def hide(text: str) -> str:
        for word in named:
            text = text.replace(word, "NAME")
        for pattern, word in _HIDDEN:
            text = pattern.sub(word, text)
        return text

    headers = {
        name.lower(): hide(value)
        for name, value in response.getheaders()
        # Its length is that of the name.
        if name.lower() not in _NEW_EACH_TIME | {"content-length"}
    }
    return response.status, sorted(headers.items()), hide(body.decode())


def measure(
    address: tuple[str, int], existing: Request, missing: Request, pairs: int, seed: int = 7
) -> Measured:
    """Both `pairs` times, in random order. Fails where the answers differ."""
    line, order = Line(address), random.Random(seed)
    times: dict[bool, list[float]] = {True: [], False: []}
    try:
        for _ in range(3):  # Not counted: what is read the first time.
            one, other = line.send(existing)[1], line.send(missing)[1]
            assert one == other
        for _ in range(pairs):
            found = {}
            for is_there in order.sample([True, False], 2):
                seconds, answer = line.send(existing if is_there else missing)
                times[is_there].append(seconds)
                found[is_there] = answer
            assert found[True] == found[False], found
    finally:
        line.close()
    return Measured(statistics.median(times[True]), statistics.median(times[False]), pairs)
