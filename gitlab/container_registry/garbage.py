"""Garbage: GitLab's jobs give the pace, the registry decides. Batch after batch while any is due."""

from __future__ import annotations

import time

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.berth import RegistryClient
from gitlab.container_registry.client.responses import ReviewRun

BATCH = 100
BUDGET = 30.0
"""Seconds of one task. A long queue is worked off by many, so that deletions get their turn."""


def collect(registry: RegistryClient | None = None, *, budget: float = BUDGET) -> list[ReviewRun]:
    """Have what is due reviewed, until nothing is left or the time is up.

    Raises `RegistryUnavailable`, `RegistryRefused`; what was reviewed before stays reviewed.
    """
    registry = registry or clients.for_jobs()
    until = time.monotonic() + budget
    runs: list[ReviewRun] = []
    while True:
        run = registry.review_garbage(BATCH)
        runs.append(run)
        # A batch without any review would mean that what is due can't be reviewed now.
        if not run.left_due or not run.reviewed or time.monotonic() >= until:
            return runs
