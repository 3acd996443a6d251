"""Ringing the worker by a task's name. Nobody here imports the workers.

A bell that nobody hears does no harm: the row is the queue, and beat looks at it every few seconds.
"""

from __future__ import annotations

import functools
import logging
import time
from typing import TYPE_CHECKING, Any

from django.db import transaction

from gitlab.server import request_id

if TYPE_CHECKING:
    from celery import Celery

ENQUEUED_AT = "enqueued_at"
"""The header of a task that says when it was rung for, in seconds since the epoch."""

log = logging.getLogger(__name__)


@functools.cache
def _app() -> Celery:
    from gitlab.jobs import broker

    return broker.connect("berth-enqueue")


def now(task: str, *arguments: Any) -> None:
    """Send a task. A broker that can't be reached is logged and otherwise ignored."""
    try:
        _app().send_task(
            task,
            args=arguments,
            retry=False,
            ignore_result=True,
            headers={request_id.TASK_HEADER: request_id.current(), ENQUEUED_AT: time.time()},
        )
    except Exception as error:  # noqa: BLE001 - whatever a broker may raise, the sweep comes anyway
        log.warning("the worker was not rung for %s: %s", task, error)


def on_commit(task: str, *arguments: Any) -> None:
    """Send a task once the transaction under way is committed, and never if it is not."""
    transaction.on_commit(lambda: now(task, *arguments), robust=True)
