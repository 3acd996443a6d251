"""How jobs get from a page to a worker: Redis where configured, else files in the state folder.

Both ends use this: the bell that a page rings, and the worker's own app.
"""

from __future__ import annotations

import functools
import json
import time
from pathlib import Path
from typing import Any

from celery import Celery
from django.conf import settings

from gitlab.jobs import file_transport

QUEUE = "berth"

POLLING_INTERVAL = 0.1
"""Seconds. With kombu's own default the filesystem transport takes two tasks a second."""


def _queue() -> Path:
    return Path(settings.HOME) / "broker" / "queue"


def configuration() -> dict[str, Any]:
    """Celery's settings for the broker, and for tasks that are JSON and have no results."""
    shared: dict[str, Any] = {
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_default_queue": QUEUE,
        "timezone": "UTC",
        "broker_connection_timeout": 2,
        "broker_connection_retry_on_startup": True,
        # Nobody sends workers commands, and each would cost a queue of its own.
        "worker_enable_remote_control": False,
    }
    configured = settings.CONFIG.berth.broker_url
    if configured is not None:
        return shared | {"broker_url": configured.get_secret_value()}
    queue, control = _queue(), _queue().with_name("control")
    for path in (queue, control):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return shared | {
        "broker_url": f"{file_transport.NAME}://localhost//",
        "broker_transport_options": {
            "data_folder_in": str(queue),
            "data_folder_out": str(queue),
            "control_folder": str(control),
            "polling_interval": POLLING_INTERVAL,
        },
    }


def waiting() -> tuple[int, float]:
    """How many tasks wait for the worker, and for how many seconds the first has.

    Raises what the broker's client does where it can't be reached.
    """
    configured = settings.CONFIG.berth.broker_url
    if configured is None:
        names = [path.name for path in _queue().glob(f"*.{QUEUE}.msg")]
        return len(names), time.time() - int(min(names)[:15]) / 1000 if names else 0.0
    redis = _redis(configured.get_secret_value())
    # Kombu pushes on the left and takes from the right.
    first = redis.lindex(QUEUE, -1)
    if first is None:
        return 0, 0.0
    enqueued_at = json.loads(first).get("headers", {}).get("enqueued_at")
    age = time.time() - enqueued_at if isinstance(enqueued_at, int | float) else 0.0
    return redis.llen(QUEUE), max(0.0, age)


@functools.cache
def _redis(url: str) -> Any:
    import redis

    return redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2)


def connect(name: str) -> Celery:
    """A Celery app that speaks to the broker."""
    app = Celery(name, set_as_current=False)
    app.conf.update(configuration())
    return app
