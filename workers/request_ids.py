"""The id of the request that rang for a task: its log lines and calls have it as the request has.

A task of the clock gets an id of its own, so that what it did can be found on both sides.
"""

from __future__ import annotations

from typing import Any

from celery.signals import setup_logging, task_postrun, task_prerun

from gitlab.server import logs, request_id


@setup_logging.connect
def _keep_ours(**_: object) -> None:
    """Whoever listens to this signal keeps Celery from setting up a log of its own."""
    logs.name_process("worker")


@task_prerun.connect
def _begin(task_id: str, task: Any, **_: object) -> None:
    given = task.request.get(request_id.TASK_HEADER) or task_id.replace("-", "")
    request_id.use(request_id.accept(given))


@task_postrun.connect
def _end(**_: object) -> None:
    request_id.use("")
