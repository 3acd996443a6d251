"""HTTP by hand: what is sent is exactly what a case says, and nothing that comes back is lost."""

from __future__ import annotations

import http.client
import io
import json
import socket
import time
from dataclasses import dataclass, field
from typing import Any

TIMEOUT = 60


@dataclass
class Answer:
    """A response. `status` 0 means that the connection was closed without one."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    rest: bytes = b""
    """What came after the response."""
    seconds: float = 0.0

    def header(self, name: str) -> str:
        """A header by name, empty where there is none."""
        return self.headers.get(name.lower(), "")

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def codes(self) -> list[str]:
        """The codes of a refusal; empty where the body is none."""
        try:
            return [error["code"] for error in self.json()["errors"]]
        except (ValueError, KeyError, TypeError):
            return []


class _Bytes:
    """What `http.client` takes for a socket."""

    def __init__(self, content: bytes) -> None:
        self.file = io.BytesIO(content)

    def makefile(self, mode: str) -> io.BytesIO:
        return self.file


def exchange(
    address: tuple[str, int], content: bytes, *, head: bool = False, source: str = "127.0.0.1"
) -> Answer:
    """Send `content`, close our side, and read everything until the other side closes too."""
    started = time.monotonic()
    with socket.create_connection(address, TIMEOUT, source_address=(source, 0)) as connection:
        try:
            connection.sendall(content)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # The server has answered and closed already.
        received = _everything(connection)
    answer = parse(received, head=head)
    answer.seconds = time.monotonic() - started
    return answer


def _everything(connection: socket.socket) -> bytes:
    pieces = []
    try:
        while piece := connection.recv(65536):
            pieces.append(piece)
    except ConnectionResetError:
        pass
    return b"".join(pieces)


def parse(received: bytes, *, head: bool = False) -> Answer:
    """The first response in `received`, and what follows it."""
    if not received:
        return Answer(0)
    stream = _Bytes(received)
    response = http.client.HTTPResponse(stream, method="HEAD" if head else "GET")  # type: ignore[arg-type]
    response.begin()
    headers = {name.lower(): value for name, value in response.getheaders()}
    # HTTPResponse closes the stream when it has read its part.
    stream.file.close = lambda: None  # type: ignore[method-assign]
    body = response.read()
    return Answer(response.status, headers, body, stream.file.read())


def request(
    method: str, path: str, host: str, headers: list[tuple[str, str]], body: bytes, *, chunked: bool
) -> bytes:
    """A request as bytes. `headers` that are given win over those that would be added."""
    given = {name.lower() for name, _ in headers}
    added = [("Host", host)] if "host" not in given else []
    if not chunked and "content-length" not in given and (body or method in ("POST", "PUT")):
        added.append(("Content-Length", str(len(body))))
    added.append(("Connection", "close"))
    lines = [f"{method} {path} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in [*added, *headers]]
    if chunked:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if body else b"0\r\n\r\n"
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body
