"""A client that writes its requests byte by byte, for tests of what only a connection shows."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading

from tests.bad_inputs.attacks import Forge
from tests.bad_inputs.client import Answer, exchange
from tests.bad_inputs.server import Node
from tokens.access import Access

PRIVATE = "acme/private-app"
UPLOADS = f"/v2/{PRIVATE}/blobs/uploads/"
MIB = 1024 * 1024


class Wire:
    """Requests with a token, on connections of their own or on one that is kept."""

    def __init__(self, node: Node, forge: Forge) -> None:
        self.node = node
        self.host = f"localhost:{node.registry[1]}"
        self.token = forge.mint(Access.repository(PRIVATE, "pull", "push", "delete"))

    def head(
        self, method: str, path: str, *lines: str, token: bool = True, close: bool = False
    ) -> bytes:
        """The head of a request."""
        given = [f"{method} {path} HTTP/1.1", f"Host: {self.host}"]
        given += [f"Authorization: Bearer {self.token}"] if token else []
        given += ["Connection: close"] if close else []
        return ("\r\n".join([*given, *lines]) + "\r\n\r\n").encode("latin-1")

    def send(self, content: bytes, *, head: bool = False) -> Answer:
        """One exchange."""
        return exchange(self.node.registry, content, head=head)

    def several(self, content: bytes, methods: list[str]) -> list[tuple[int, bytes]]:
        """Everything in one go on one connection; the answers, one for each method."""
        with socket.create_connection(self.node.registry, 20) as connection:
            thread = threading.Thread(target=_send, args=(connection, content), daemon=True)
            thread.start()
            answers = []
            for method in methods:
                response = http.client.HTTPResponse(connection, method=method)
                response.fp.close()
                response.fp = _Unbuffered(connection, "r")  # type: ignore[assignment]
                response.begin()
                answers.append((response.status, response.read()))
            thread.join(20)
            connection.shutdown(socket.SHUT_WR)
            rest = connection.recv(65536)
            assert rest == b"", f"there is more: {rest[:200]!r}"
            return answers

    def upload(self) -> str:
        """The address of a new session."""
        answer = self.send(self.head("POST", UPLOADS, "Content-Length: 0", close=True))
        assert answer.status == 202
        return answer.header("Location")


def _send(connection: socket.socket, content: bytes) -> None:
    with contextlib.suppress(OSError):
        connection.sendall(content)


class _Unbuffered(socket.SocketIO):
    """Takes from the socket what it is asked for: no more, since that is the next answer's."""

    def read(self, size: int = -1) -> bytes:
        pieces = []
        while size and (piece := super().read(size)):
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)


def v1(node: Node) -> bytes:
    """The manifest under the tag v1."""
    payload: str = node.fixtures["M1.payload"]
    return payload.encode()
