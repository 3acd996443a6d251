"""What is no HTTP, or not enough of it for an application: answered as the protocol's errors are.

gunicorn would answer with HTML. What reads here is a client of the registry, of the token server or
of the API far more often than a browser, and a browser sends none of this.
"""

from __future__ import annotations

import json
import socket

from gunicorn import util


def write_error(connection: socket.socket, status: int, reason: str, message: str) -> None:
    """Send an error and say that the connection ends; see `gunicorn.util.write_error`.

    `message` comes from gunicorn and may repeat what the client has sent.
    """
    code = "UNSUPPORTED" if status < 500 or status == 501 else "UNAVAILABLE"
    error = {"code": code, "message": message or reason}
    body = json.dumps({"errors": [error]}).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\n"
        "Connection: close\r\n"
        "Content-Type: application/json\r\n"
        "X-Content-Type-Options: nosniff\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(connection, head.encode("latin-1") + body)


def use() -> None:
    """Let gunicorn answer so from now on, in all of this process."""
    util.write_error = write_error
