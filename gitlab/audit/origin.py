"""Where what happens now comes from: the address of the request under way.

Services never see a request. The middleware sets the address around it, and `services.record`
reads it; a worker has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_address: ContextVar[str] = ContextVar("audit_address", default="")


def client_ip() -> str:
    """The client's IP address, or "" outside a request."""
    return _address.get()


@contextmanager
def acting_from(client: str) -> Iterator[None]:
    """Within the block, what is recorded comes from `client`."""
    token = _address.set(client[:64])
    try:
        yield
    finally:
        _address.reset(token)
