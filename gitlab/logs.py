"""How a log line looks, and what never stands in one."""

from __future__ import annotations

import logging
import re

_SECRETS = re.compile(
    r"(?i)(?:bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"
    r"|eyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*"
    r"|gl(?:pat|dt|cbt)-[A-Za-z0-9_.-]{8,}"
    r"|(?:password|secret|_state|token)=[^\s&\"']+"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----",
    re.DOTALL,
)
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """`text` without secrets, and with control characters escaped so that a line stays a line."""
    masked = _SECRETS.sub("[masked]", text)
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", masked)


class LineFormatter(logging.Formatter):
    """Readable text, cleaned, with the request's id where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        return clean(super().format(record))
