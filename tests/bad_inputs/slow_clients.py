"""Two hundred clients that hardly move, before a process itself and before nginx with our file.

nginx waits for slow heads and slow readers itself; a body flows through it as slowly as it comes.
What reaches a process of Berth is waited for aside, so everybody else is served as before.
"""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import statistics
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bad_inputs.client import TIMEOUT, Answer, parse, request
from tests.e2e.components import require
from tests.e2e.proxies import adapted

COUNT = 200
MEASURED = 40
SLACK = 2.0
"""Seconds by which a healthy request may take longer than twice as long as before: other programs
share the machine. Where slow clients kept the threads it would not be answered at all.
"""

_TLS = ("ssl_certificate /etc/berth/tls.crt;", "ssl_certificate_key /etc/berth/tls.key;")


class Nginx:
    """In front of one registry process, on plain http."""

    def __init__(self, folder: Path, registry: tuple[str, int], store: Path) -> None:
        self._program = require("nginx")
        folder.mkdir(exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.address: tuple[str, int] = probe.getsockname()
        listen = f"listen {self.address[0]}:{self.address[1]}"
        text = adapted(
            "nginx.conf",
            {
                "user berth;": "user root;" if os.geteuid() == 0 else "",
                "worker_processes auto": "worker_processes 1",
                "/run/nginx.pid": str(folder / "pid"),
                "/var/log/nginx/error.log": str(folder / "error.txt"),
                "/var/log/nginx/berth.log": str(folder / "access.txt"),
                # Where it keeps bodies that are not complete.
                "server_tokens off;": f"client_body_temp_path {folder}/bodies;",
                **dict.fromkeys(_TLS, ""),
                "listen 443 ssl default_server": f"{listen} default_server",
                "ssl_reject_handshake on;": "",
                "listen 443 ssl": listen,
                "registry.example.com": "localhost",
                "127.0.0.1:5000": "{}:{}".format(*registry),
                "/var/lib/berth/registry/": f"{store}/",
            },
        )
        self._file = folder / "nginx.conf"
        self._file.write_text(text)
        self._folder = folder
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Run it, until it listens."""
        log = self._folder / "nginx.txt"
        with log.open("ab") as output:
            self._popen = subprocess.Popen(
                [self._program, "-p", self._folder, "-c", self._file, "-g", "daemon off;"],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        deadline = time.monotonic() + 60
        while True:
            try:
                socket.create_connection(self.address, 1).close()
            except OSError:
                assert self._popen.poll() is None, log.read_text()
                assert time.monotonic() < deadline, log.read_text()
                time.sleep(0.05)
            else:
                return

    def stop(self) -> None:
        """End it."""
        if self._popen is not None and self._popen.poll() is None:
            self._popen.terminate()
            self._popen.wait(20)


def connect(address: tuple[str, int], tls: ssl.SSLContext | None = None) -> socket.socket:
    """A connection of which hardly anything fits into our own buffers."""
    connection = socket.socket()
    connection.settimeout(TIMEOUT)
    # Before the handshake, which tells the other side how much fits.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(address)
    return tls.wrap_socket(connection, server_hostname="localhost") if tls else connection


def pull(address: tuple[str, int], content: bytes, tls: ssl.SSLContext | None = None) -> Answer:
    """A healthy request. Our side stays open: a proxy takes a closed one for somebody who
    has gone.
    """
    started = time.monotonic()
    with ExitStack() as stack:
        connection = stack.enter_context(socket.create_connection(address, TIMEOUT))
        if tls is not None:
            connection = stack.enter_context(
                tls.wrap_socket(connection, server_hostname="localhost")
            )
        connection.sendall(content)
        pieces = []
        while piece := connection.recv(65536):
            pieces.append(piece)
    answer = parse(b"".join(pieces))
    answer.seconds = time.monotonic() - started
    return answer


def healthy(address: tuple[str, int], content: bytes, tls: ssl.SSLContext | None = None) -> float:
    """How long healthy requests take: the time in which 19 of 20 are answered, in seconds."""
    answers = [pull(address, content, tls) for _ in range(MEASURED)]
    assert {answer.status for answer in answers} == {200}
    return statistics.quantiles([answer.seconds for answer in answers], n=20)[-1]


@contextmanager
def waiting(
    address: tuple[str, int],
    content: bytes,
    count: int = COUNT,
    tls: ssl.SSLContext | None = None,
) -> Iterator[list[socket.socket]]:
    """So many connections on which `content` was sent and from which nobody reads."""
    connections: list[socket.socket] = []
    try:
        for _ in range(count):
            connections.append(connect(address, tls))
            connections[-1].sendall(content)
        yield connections
    finally:
        for connection in connections:
            connection.close()


def serve_others(
    address: tuple[str, int], good: bytes, slow: bytes, drop: bytes = b""
) -> tuple[float, float]:
    """How long healthy requests take before, and while slow ones wait. `drop` follows on each."""
    before = healthy(address, good)
    with waiting(address, slow) as connections:
        for _ in range(2):
            during = healthy(address, good)
            for connection in connections if drop else ():
                connection.sendall(drop)
    return before, during


def get(path: str, address: tuple[str, int], token: str | None) -> bytes:
    """A GET, as bytes."""
    headers = [("Authorization", f"Bearer {token}")] if token else []
    return request("GET", path, f"localhost:{address[1]}", headers, b"", chunked=False)


def digest_of(content: bytes) -> str:
    """A blob's name."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
