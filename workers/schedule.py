"""The schedule in a thread of the worker: ``celery -A workers worker --clock``.

Celery's own ``--beat`` forks a process. If that one is killed, the worker goes on without a
schedule and nobody notices: nothing is collected any more. A thread ends with its worker, and where
it fails it ends the worker, for whatever supervises it to start again. It is also a process less.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from typing import Any

from celery import Celery, bootsteps
from celery.beat import Service
from click import Option

log = logging.getLogger(__name__)

OPTION = Option(("--clock",), is_flag=True, help="Keep the schedule in this worker.")
_LONGEST_SLEEP = 0.5
"""Seconds: the schedule does not hear that it is to stop while it sleeps."""


class Clock(threading.Thread):
    """Rings for each entry of the schedule that is due."""

    def __init__(self, app: Celery) -> None:
        super().__init__(name="clock", daemon=True)
        self.app = app
        self.service = Service(
            app, max_interval=_LONGEST_SLEEP, scheduler_cls=app.conf.beat_scheduler
        )

    def run(self) -> None:
        """Keep the schedule until `stop`; end the process where that fails."""
        self.app.set_current()
        try:
            self.service.start()
        except Exception:
            log.exception("the schedule failed; the worker stops")
            os.kill(os.getpid(), signal.SIGTERM)

    def stop(self) -> None:
        """Ring no more, and wait for that."""
        self.service.stop()
        self.join()


class ClockStep(bootsteps.StartStopStep):
    """Starts and stops the clock with the worker, where it was asked for."""

    label = "Clock"
    conditional = True

    def __init__(self, worker: Any, clock: bool = False, **options: Any) -> None:
        self.enabled = clock
        super().__init__(worker, **options)

    def create(self, worker: Any) -> Clock:
        """See `celery.bootsteps.StartStopStep`."""
        return Clock(worker.app)
