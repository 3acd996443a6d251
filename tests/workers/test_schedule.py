"""The schedule in the worker: it rings, it stops, and where it fails the worker ends with it."""

from __future__ import annotations

import os
import signal
from typing import Any

import pytest
from celery.beat import Scheduler

from tests.e2e.installation import wait_until
from workers.celery import app
from workers.schedule import Clock


def test_it_rings_until_it_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    rung = []
    monkeypatch.setattr(Scheduler, "tick", lambda self: rung.append(True) or 0.01)
    clock = Clock(app)
    clock.start()
    wait_until(lambda: len(rung) > 2, timeout=60)
    clock.stop()
    assert not clock.is_alive()


def test_where_it_fails_the_worker_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """A worker without a schedule would look alive, and nothing would be collected any more."""
    killed: list[tuple[int, int]] = []

    def fail(scheduler: Any) -> float:
        raise MemoryError

    monkeypatch.setattr(Scheduler, "tick", fail)
    monkeypatch.setattr(os, "kill", lambda *arguments: killed.append(arguments))
    clock = Clock(app)
    clock.start()
    clock.join(60)
    assert killed == [(os.getpid(), signal.SIGTERM)]


def test_the_worker_knows_the_option() -> None:
    assert any("--clock" in option.opts for option in app.user_options["worker"])
