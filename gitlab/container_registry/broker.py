"""How jobs get from a page to a worker: Redis where configured, else files in the state folder.

Both ends use this: the bell that a page rings, and the worker's own app.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from celery import Celery
from django.conf import settings

from gitlab.container_registry import file_transport

POLLING_INTERVAL = 0.1
"""Seconds. With kombu's own default the filesystem transport takes two tasks a second."""


def configuration() -> dict[str, Any]:
    """Celery's settings for the broker, and for tasks that are JSON and have no results."""
    shared: dict[str, Any] = {
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_ignore_result": True,
        "task_default_queue": "berth",
        "timezone": "UTC",
        "broker_connection_timeout": 2,
        "broker_connection_retry_on_startup": True,
        # Nobody sends workers commands, and each would cost a queue of its own.
        "worker_enable_remote_control": False,
    }
    configured = settings.CONFIG.berth.broker_url
    if configured is not None:
        return shared | {"broker_url": configured.get_secret_value()}
    folder = Path(settings.HOME) / "broker"
    queue, control = folder / "queue", folder / "control"
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


def connect(name: str) -> Celery:
    """A Celery app that speaks to the broker."""
    app = Celery(name, set_as_current=False)
    app.conf.update(configuration())
    return app
