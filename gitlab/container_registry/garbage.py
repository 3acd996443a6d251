"""Garbage: GitLab's jobs give the pace, the registry decides. Batch after batch while any
is due.
"""

from __future__ import annotations

import time

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import ReviewRun

BATCH = 100
BUDGET = 30.0
"""Seconds of one task. A long queue is worked off by many, so that deletions get their turn."""


def collect(registry: Registry | None = None, *, budget: float = BUDGET) -> list[ReviewRun]:
    """Have what is due reviewed, until nothing is left or the time is up.

    A registry without our API collects by itself: nothing is run. Raises `RegistryUnavailable`,
    `RegistryRefused`; what was reviewed before stays reviewed.
    """
    own = (registry or clients.for_jobs()).own
    if own is None:
        return []
    until = time.monotonic() + budget
    runs: list[ReviewRun] = []
    while True:
        run = own.review_garbage(BATCH)
        runs.append(run)
        # A batch without any review would mean that what is due can't be reviewed now.
        if not run.left_due or not run.reviewed or time.monotonic() >= until:
            return runs


def verify(registry: Registry | None = None) -> int:
    """Have the next of the registry's rows compared with its bytes; how many faults that showed.

    Raises `RegistryUnavailable`, `RegistryRefused`.
    """
    own = (registry or clients.for_jobs()).own
    return own.verify_slice() if own else 0
