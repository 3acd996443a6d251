"""What is sealed is sent on, each event as a line of JSON: into a file, or to a syslog.

In the order of the chain, so that whoever keeps the lines can prove it themselves. At least once:
a worker that dies in between sends the same lines again, with the same positions.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings

from gitlab.audit import chain
from gitlab.audit.export import as_row, json_line
from gitlab.audit.models import AuditChain, AuditEvent

BATCH = 500
MAX_LINE = 8192
"""Bytes of a message to a syslog (RFC 5424, 6.1, lets receivers take no more than this)."""

_PRIORITY = 13 * 8 + 5
"""Facility "log audit", severity "notice"."""

_SECONDS = 5.0

Send = Callable[[str], None]


def send_on(batches: int = 20) -> int:
    """Send what is sealed and was not sent yet; how many lines. Raises `OSError`.

    What could not be sent is sent the next time.
    """
    target: str = settings.AUDIT_STREAM
    if not target:
        return 0
    sent = 0
    for _ in range(batches):
        held, _ = AuditChain.objects.get_or_create(pk=AuditChain.THE_ONE)
        rows = AuditEvent.objects.filter(chain_position__gt=max(held.streamed, held.swept))
        found = list(rows.order_by("chain_position")[: chain.BATCH])
        if not found:
            break
        with opened(target) as send:
            for event in found:
                send(json_line(as_row(event)))
        moved = AuditChain.objects.filter(pk=held.pk, streamed=held.streamed)
        if not moved.update(streamed=found[-1].chain_position or 0):
            break
        sent += len(found)
    return sent


@contextlib.contextmanager
def opened(target: str) -> Iterator[Send]:
    """What takes lines, for ``file:///path``, ``syslog://host:port`` or ``syslog:///dev/log``."""
    split = urlsplit(target)
    if split.scheme == "file":
        with Path(split.path).open("a", encoding="utf-8") as file:
            yield file.write  # type: ignore[misc]
        return
    with contextlib.closing(_connected(split.hostname, split.port, split.path)) as connected:
        yield lambda line: connected.sendall(_message(line))


def _connected(host: str | None, port: int | None, path: str) -> socket.socket:
    """A syslog by UDP, or on a socket of this machine."""
    if host is None:
        local = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        local.settimeout(_SECONDS)
        local.connect(path)
        return local
    family, kind, protocol, _, address = socket.getaddrinfo(
        host, port or 514, type=socket.SOCK_DGRAM
    )[0]
    remote = socket.socket(family, kind, protocol)
    remote.settimeout(_SECONDS)
    remote.connect(address)
    return remote


def _message(line: str) -> bytes:
    """A message of RFC 3164, cut where a receiver would cut it."""
    return f"<{_PRIORITY}>berth-audit: {line.rstrip()}".encode()[:MAX_LINE]
