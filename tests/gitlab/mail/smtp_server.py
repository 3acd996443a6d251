"""A mail server of one's own: takes what is sent, by TLS or not, and says how it came."""

from __future__ import annotations

import base64
import contextlib
import socketserver
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Inbox:
    """What came: whole messages, who they were from and to, who signed in, by TLS or not."""

    port: int = 0
    messages: list[str] = field(default_factory=list)
    senders: list[str] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    signed_in: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    refused: str = ""
    """The answer to each recipient, where there is one other than yes."""


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        if self.server.context and not self.server.starts_later:
            self._encrypt()
        self._say("220 mail.example.com")
        with contextlib.suppress(OSError, ValueError):
            while (line := self.rfile.readline().decode().strip()) and self._answer(line):
                pass

    def _encrypt(self) -> None:
        assert self.server.context is not None
        self.connection = self.server.context.wrap_socket(self.connection, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", 0)

    def _say(self, text: str) -> None:
        self.wfile.write(f"{text}\r\n".encode())

    def _answer(self, line: str) -> bool:
        """Whether the conversation goes on."""
        verb, _, rest = line.partition(" ")
        inbox = self.server.inbox
        match verb.upper():
            case "EHLO":
                offered = ["mail.example.com", "AUTH PLAIN"] + (
                    ["STARTTLS"] if self.server.starts_later else []
                )
                self._say("\r\n".join(f"250-{each}" for each in offered) + "\r\n250 OK")
            case "STARTTLS":
                self._say("220 go on")
                self._encrypt()
            case "AUTH":
                _, name, password = base64.b64decode(rest.split()[1]).decode().split("\0")
                inbox.signed_in.append(f"{name} {password}")
                self._say("235 OK")
            case "MAIL":
                inbox.senders.append(rest)
                self._say("250 OK")
            case "RCPT":
                inbox.recipients.append(rest)
                self._say(inbox.refused or "250 OK")
            case "DATA":
                self._say("354 go on")
                lines = iter(self.rfile.readline, b".\r\n")
                inbox.messages.append(b"".join(lines).decode())
                inbox.encrypted.append(isinstance(self.connection, ssl.SSLSocket))
                self._say("250 OK")
            case "QUIT":
                self._say("221 bye")
                return False
            case _:
                self._say("250 OK")
        return True


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(
        self, inbox: Inbox, context: ssl.SSLContext | None = None, *, starts_later: bool = False
    ) -> None:
        self.inbox, self.context, self.starts_later = inbox, context, starts_later
        super().__init__(("127.0.0.1", 0), _Handler)
        inbox.port = self.server_address[1]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A handshake that fails is the client's to tell."""


@contextlib.contextmanager
def serving(
    context: ssl.SSLContext | None = None, *, starts_later: bool = False
) -> Iterator[Inbox]:
    """A mail server; with a `context` by TLS, after STARTTLS where it `starts_later`."""
    inbox = Inbox()
    with _Server(inbox, context, starts_later=starts_later) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield inbox
        finally:
            server.shutdown()
            thread.join()
