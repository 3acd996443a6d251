"""A file that is touched after each task that was done or sent: every few seconds where all is
well.

A container's health check looks at its time (``deploy/healthy``). It stands still where the broker,
the schedule or the pool of threads does, which a look at the process alone would not tell.
"""

from __future__ import annotations

import contextlib

from celery.signals import after_task_publish, task_postrun

from gitlab.jobs import heartbeat

FILE = heartbeat.file()


@task_postrun.connect
@after_task_publish.connect
def _note(**_: object) -> None:
    # A disk that is full is no reason to lose a task.
    with contextlib.suppress(OSError):
        FILE.touch(mode=0o600)
