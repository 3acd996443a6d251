"""``Expect: 100-continue`` through TLS, on our own listener: leave, or the refusal and no leave."""

from __future__ import annotations

import hashlib
import socket
import ssl
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.e2e.conftest import person_at
from tests.e2e.installation import Installation

pytestmark = pytest.mark.e2e

NAME = "alice/expect"
UPLOADS = f"/v2/{NAME}/blobs/uploads/"
BODY = b"hello"
DIGEST = f"sha256:{hashlib.sha256(BODY).hexdigest()}"
LEAVE = b"HTTP/1.1 100 Continue\r\n\r\n"


@pytest.fixture
def line(berth_tls: Installation) -> Iterator[ssl.SSLSocket]:
    """A connection to the registry, in TLS."""
    split = urlsplit(berth_tls.registry_url)
    context = ssl.create_default_context(cafile=berth_tls.authority)
    with (
        socket.create_connection((split.hostname, split.port), 60) as plain,
        context.wrap_socket(plain, server_hostname=split.hostname) as line,
    ):
        yield line


def head(method: str, path: str, token: str, *lines: str) -> bytes:
    """The head of a request whose client waits for leave."""
    given = [f"{method} {path} HTTP/1.1", "Host: localhost", "Expect: 100-continue", *lines]
    given += [f"Authorization: Bearer {token}"] if token else []
    return ("\r\n".join(given) + "\r\n\r\n").encode()


def until_its_end(line: ssl.SSLSocket) -> bytes:
    """All that comes until the other side closes."""
    received = b""
    while piece := line.recv(65536):
        received += piece
    return received


def token_of(berth: Installation, *actions: str) -> str:
    alice = person_at(berth, "alice")
    scope = f"repository:{NAME}:{','.join(actions)}"
    return berth.token(scope, username="alice", password=alice.password)


def test_who_may_go_on_gets_leave(berth_tls: Installation, line: ssl.SSLSocket) -> None:
    token = token_of(berth_tls, "pull", "push")
    path = f"{UPLOADS}?digest={DIGEST}"
    line.sendall(head("POST", path, token, f"Content-Length: {len(BODY)}", "Connection: close"))
    received = b""
    while len(received) < len(LEAVE):
        received += line.recv(len(LEAVE) - len(received))
    assert received == LEAVE
    line.sendall(BODY)
    assert until_its_end(line).startswith(b"HTTP/1.1 201 ")


@pytest.mark.parametrize("framing", ["Content-Length: 500", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    ("actions", "path", "status"),
    [
        ((), f"{UPLOADS}?digest={DIGEST}", 401),
        (("pull",), f"{UPLOADS}?digest={DIGEST}", 401),
        (("pull", "push"), f"{UPLOADS}?digest=sha256:zz", 400),
    ],
)
def test_who_may_not_gets_the_refusal_and_no_leave(
    berth_tls: Installation,
    line: ssl.SSLSocket,
    actions: tuple[str, ...],
    path: str,
    status: int,
    framing: str,
) -> None:
    """And the connection ends, since nobody knows whether the body comes."""
    token = token_of(berth_tls, *actions) if actions else ""
    line.sendall(head("POST", path, token, framing))
    received = until_its_end(line)
    assert received.startswith(b"HTTP/1.1 %d " % status), received
    assert b"100 Continue" not in received
    assert b"\r\nConnection: close\r\n" in received
