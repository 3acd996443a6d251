"""What the worker counts of its tasks, for Prometheus.

It has no address of its own unless ``berth.worker_metrics_addr`` gives it one. Without, it leaves
its numbers in a file of the state folder each few seconds, and the web process of the node hands
them out with its own (`gitlab.server.metrics.exposition`). A worker that is gone shows by the age
of its numbers.
"""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from typing import Any

from celery.signals import (
    before_task_publish,
    task_postrun,
    task_prerun,
    task_revoked,
    worker_ready,
    worker_shutdown,
)
from django.conf import settings
from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
    start_http_server,
)

from gitlab.jobs.enqueue import ENQUEUED_AT
from gitlab.jobs.leases import Outcome
from gitlab.server import metrics

INTERVAL = 5.0
"""Seconds between two writings of the file."""

REGISTRY = CollectorRegistry()
TASKS = Counter(
    "berth_tasks",
    "Tasks that ended: succeeded, failed, or expired before their turn.",
    ["task", "outcome"],
    registry=REGISTRY,
)
SECONDS = Histogram(
    "berth_task_seconds",
    "How long a task took.",
    ["task"],
    buckets=(0.02, 0.1, 0.5, 2, 10, 30, 120, 600),
    registry=REGISTRY,
)
WAITED = Histogram(
    "berth_task_wait_seconds",
    "From the ring to the beginning of the task.",
    ["task"],
    buckets=(0.1, 0.5, 2, 5, 10, 30, 120, 600),
    registry=REGISTRY,
)
AT_WORK = Gauge("berth_tasks_in_progress", "Tasks that are under way.", registry=REGISTRY)
DELETIONS = Counter(
    "berth_deletions_attempted",
    "Attempts to delete an image, by what came of it.",
    ["outcome"],
    registry=REGISTRY,
)
for _outcome in set(Outcome) - {Outcome.MORE}:
    # From the beginning: a number that is not there yet can't be told from one that is gone.
    DELETIONS.labels(_outcome.name.lower())
SEEN = Gauge(
    "berth_worker_seen_timestamp_seconds", "When the worker wrote its numbers.", registry=REGISTRY
)

_begun: dict[str, float] = {}
_stopping = threading.Event()


def _name(task: Any) -> str:
    """The task's own name, without the module that all of them are in."""
    name: str = getattr(task, "name", None) or str(task)
    return name.rpartition(".")[2]


@before_task_publish.connect
def _note_the_moment(headers: dict[str, Any], **_: object) -> None:
    headers.setdefault(ENQUEUED_AT, time.time())


@task_prerun.connect
def _begin(task_id: str, task: Any, **_: object) -> None:
    _begun[task_id] = time.monotonic()
    AT_WORK.inc()
    enqueued_at = task.request.get(ENQUEUED_AT)
    if isinstance(enqueued_at, int | float):
        WAITED.labels(_name(task)).observe(max(0.0, time.time() - enqueued_at))


@task_postrun.connect
def _end(task_id: str, task: Any, state: str | None = None, **_: object) -> None:
    begun = _begun.pop(task_id, None)
    if begun is None:
        return
    AT_WORK.dec()
    SECONDS.labels(_name(task)).observe(time.monotonic() - begun)
    TASKS.labels(_name(task), "succeeded" if state == "SUCCESS" else "failed").inc()


@task_revoked.connect
def _expired(sender: Any, **_: object) -> None:
    TASKS.labels(_name(sender), "expired").inc()


def write(path: Path) -> None:
    """Leave the numbers at `path`, where nobody ever sees a part of them."""
    SEEN.set_to_current_time()
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    part.write_bytes(generate_latest(REGISTRY))
    part.replace(path)


def _keep_writing(path: Path) -> None:
    while not _stopping.wait(INTERVAL):
        write(path)


@worker_ready.connect
def start(**_: object) -> None:
    """Hand out the numbers from now on, one way or the other."""
    path = metrics.file_of_worker(settings.HOME)
    address: str | None = settings.WORKER_METRICS_ADDR
    if address:
        path.unlink(missing_ok=True)
        SEEN.set_function(time.time)
        host, _separator, port = address.rpartition(":")
        start_http_server(int(port), host.strip("[]"), registry=REGISTRY)
        return
    _stopping.clear()
    write(path)
    threading.Thread(target=_keep_writing, args=(path,), name="measures", daemon=True).start()


@worker_shutdown.connect
def stop(**_: object) -> None:
    """What is at an end is not at work; what was counted stays for the last time it is
    asked for.
    """
    _stopping.set()
    AT_WORK.set(0)
    if not settings.WORKER_METRICS_ADDR:
        write(metrics.file_of_worker(settings.HOME))
