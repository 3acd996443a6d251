"""Where what happens now comes from: the address of the request under way, and the credential.

Services never see a request. The middleware sets the address around it, whoever finds out who asks
says by which credential, and `services.record` reads both; a worker has neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

PASSWORD = "password"  # noqa: S105 - what it is called
"""A name and a password that came along with the request, as docker sends them."""


@dataclass
class Origin:
    """Of one request or command: the client's address, and what it was done with."""

    address: str = ""
    credential: str = ""
    actor: str = ""


_origin: ContextVar[Origin | None] = ContextVar("audit_origin", default=None)
_NOWHERE = Origin()


def current() -> Origin:
    """That of the request under way; empty outside of one."""
    return _origin.get() or _NOWHERE


def client_ip() -> str:
    """The client's IP address, or "" outside a request."""
    return current().address


def acted_with(credential: str) -> None:
    """From now on what is recorded in this request was done with `credential`, ``kind:id``.

    Never a secret. Outside a request nothing is kept.
    """
    origin = _origin.get()
    if origin is not None:
        origin.credential = credential[:80]


def of_session(key: str | None) -> str:
    """How a session is named: by a digest, since who knows its key has the session."""
    return f"session:{hashlib.sha256((key or '').encode()).hexdigest()[:16]}"


def of_shell(login: str) -> str:
    """How the account of the operating system is named whose shell a command was typed into."""
    return f"shell:{login}"


@contextmanager
def acting_from(client: str, credential: str = "", actor: str = "") -> Iterator[None]:
    """Within the block, what is recorded comes from `client`.

    `actor` names who acts where no person does: a command's.
    """
    token = _origin.set(Origin(client[:64], credential[:80], actor[:255]))
    try:
        yield
    finally:
        _origin.reset(token)
