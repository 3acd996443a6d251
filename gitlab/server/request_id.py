"""The id of the request under way: in each line of the log, and handed on to whom it calls.

A thread keeps the id until it takes the next request, so that what is logged while an answer is
still being sent has it too.
"""

from __future__ import annotations

import re
import uuid
from contextvars import ContextVar

HEADER = "X-Request-Id"
TASK_HEADER = "request_id"
"""What the header field is called among those of a Celery task."""

_ACCEPTABLE = re.compile(r"[A-Za-z0-9._-]{8,64}", re.ASCII)
_current: ContextVar[str] = ContextVar("request_id", default="")

current = _current.get
"""The id, or "" outside a request and outside a task."""

use = _current.set
"""From now on this thread works for the request of this id; "" for none."""


def accept(given: str) -> str:
    """`given` where it is well-formed, 8 to 64 letters, digits, dots, dashes; else a new id."""
    return given if _ACCEPTABLE.fullmatch(given) else uuid.uuid4().hex


def carried() -> dict[str, str]:
    """The header field for a call that is made on behalf of the request under way; {} for none."""
    known = current()
    return {HEADER: known} if known else {}
