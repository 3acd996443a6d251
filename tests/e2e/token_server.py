"""A token server that is not Berth's: whoever knows alice's password may do everything of alice's.

Source: Docker Registry v2 authentication. It signs with whatever key, header and claims a test
says.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt

USERNAME, PASSWORD = "alice", "not-known-to-berth"
ISSUER = "somebody-else"


@dataclass
class TokenServer:
    """Where it is, and how it signs."""

    url: str = ""
    sign: Callable[[dict[str, Any]], str] = lambda claims: ""
    asked: list[list[str]] = field(default_factory=list)

    def claims(self, *scopes: str, **changes: Any) -> dict[str, Any]:
        """What a good token says; a change to None takes a claim out."""
        now = int(time.time())
        access = []
        for scope in " ".join(scopes).split():
            kind, name, actions = scope.rsplit(":", 2)
            if name.startswith(f"{USERNAME}/"):
                access.append({"type": kind, "name": name, "actions": actions.split(",")})
        found = {
            "iss": ISSUER, "sub": USERNAME, "aud": "container_registry", "iat": now, "nbf": now - 5,
            "exp": now + 300, "jti": str(time.monotonic_ns()), "access": access, **changes,
        }  # fmt: skip
        return {name: value for name, value in found.items() if value is not None}

    def token(self, *scopes: str, **changes: Any) -> str:
        """A token as it stands."""
        return self.sign(self.claims(*scopes, **changes))


def signer(key: Any, algorithm: str, **headers: Any) -> Callable[[dict[str, Any]], str]:
    """Signs claims with `key`."""
    return lambda claims: jwt.encode(claims, key, algorithm=algorithm, headers=headers)


@contextmanager
def running() -> Iterator[TokenServer]:
    """Listening until the end of the block."""
    found = TokenServer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            scopes = query.get("scope", [])
            found.asked.append(scopes)
            known = base64.b64encode(f"{USERNAME}:{PASSWORD}".encode()).decode()
            if self.headers.get("Authorization") != f"Basic {known}":
                self._answer(401, {"errors": [{"code": "UNAUTHORIZED", "message": "who?"}]})
            elif query.get("service") != ["container_registry"]:
                self._answer(400, {"errors": [{"code": "UNSUPPORTED", "message": "service?"}]})
            else:
                self._answer(200, {"token": found.token(*scopes), "expires_in": 300})

        def do_POST(self) -> None:
            self._answer(404, {})

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *arguments: Any) -> None:  # noqa: A002
            """Nothing: tokens are asked for with passwords."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://localhost:{server.server_address[1]}/jwt/auth"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
