"""When the worker of this node was last alive: the time of a file that it touches after each task.

`workers.heartbeat` touches it, every few seconds where all is well.
"""

from __future__ import annotations

import time
from pathlib import Path

from django.conf import settings


def file() -> Path:
    """The file of this node's worker."""
    return Path(settings.HOME) / "alive"


def age() -> float | None:
    """For how many seconds nothing was heard of it; None where no worker has run on this node."""
    try:
        return max(0.0, time.time() - file().stat().st_mtime)
    except FileNotFoundError:
        return None
