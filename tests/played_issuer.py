"""An issuer of ID tokens on loopback, which tests play: with keys that it gives out, or worse.

Its address is one that only `berth.issuer_networks` lets in.
"""

from __future__ import annotations

import functools
import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from tests.e2e.certificates import Certificates

NETWORK = "127.0.0.0/8"
CONFIGURATION = "/.well-known/openid-configuration"
KEYS = "/keys"

Answer = Callable[[BaseHTTPRequestHandler], None]


@functools.cache
def private_key(algorithm: str = "ES256", number: int = 0) -> Any:
    """A key for an algorithm; another `number`, another key."""
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    if algorithm.startswith("ES"):
        return ec.generate_private_key(ec.SECP256R1() if algorithm == "ES256" else ec.SECP384R1())
    return rsa.generate_private_key(65537, 2048)


def public_jwk(algorithm: str = "ES256", number: int = 0, **more: Any) -> dict[str, Any]:
    """The public half as an entry of a JWK set. `more` are its other members."""
    family = jwt.algorithms.get_default_algorithms()[algorithm]
    public: dict[str, Any] = family.to_jwk(
        private_key(algorithm, number).public_key(), as_dict=True
    )  # type: ignore[attr-defined]
    return {"kid": f"{algorithm}-{number}", "use": "sig", **public, **more}


class PlayedIssuer:
    """`keys` are what it gives out, `answers` what it does instead at a path, `asked` what it was
    asked, `forms` what was posted.
    """

    def __init__(self, certificates: Certificates | None = None) -> None:
        """With `certificates` it speaks TLS, and is called localhost."""
        self.keys: list[dict[str, Any]] = [public_jwk()]
        self.configuration: dict[str, Any] = {}
        self.answers: dict[str, Answer] = {}
        self.asked: list[str] = []
        self.forms: list[dict[str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        if certificates is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificates.certificate, certificates.key)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
            self.url = f"https://localhost:{self._server.server_port}"

    def token(
        self,
        audience: Any,
        *,
        algorithm: str = "ES256",
        number: int = 0,
        headers: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """An ID token of a job, for five minutes. A claim that is None is left out."""
        now = int(time.time())
        said = {
            "iss": self.url,
            "aud": audience,
            "sub": "repo:octo/app:ref:refs/heads/main",
            "iat": now,
            "exp": now + 300,
            "jti": f"{time.monotonic_ns()}",
            "repository": "octo/app",
            "ref": "refs/heads/main",
            **claims,
        }
        kept = {name: value for name, value in said.items() if value is not None}
        header = {"kid": f"{algorithm}-{number}", **(headers or {})}
        return jwt.encode(kept, private_key(algorithm, number), algorithm, headers=header)

    @contextmanager
    def serving(self) -> Iterator[PlayedIssuer]:
        """Answer until the block ends."""
        thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                answer = issuer.answers.get(self.path)
                if answer is not None:
                    answer(self)
                elif self.path == CONFIGURATION:
                    usual = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}{KEYS}"}
                    send(self, usual | issuer.configuration)
                elif self.path == KEYS:
                    send(self, {"keys": issuer.keys})
                else:
                    send(self, {}, status=404)

            def do_POST(self) -> None:
                issuer.asked.append(self.path)
                size = int(self.headers["Content-Length"])
                issuer.forms.append(dict(parse_qsl(self.rfile.read(size).decode())))
                answer = issuer.answers.get(self.path)
                if answer is not None:
                    answer(self)
                else:
                    send(self, {}, status=404)

            def log_message(self, *args: Any) -> None:
                """Say nothing."""

        return Handler


def send(handler: BaseHTTPRequestHandler, document: Any, status: int = 200, **headers: str) -> None:
    """Answer with JSON."""
    body = json.dumps(document).encode()
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)
