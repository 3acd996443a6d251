"""What a container's health check looks at."""

from __future__ import annotations

from celery.signals import after_task_publish, task_postrun

from workers import heartbeat


def test_a_task_that_was_done_or_sent_is_a_sign_of_life() -> None:
    for signal in (task_postrun, after_task_publish):
        heartbeat.FILE.unlink(missing_ok=True)
        signal.send(sender="workers.tasks.sweep_deletions", headers={}, body=())
        assert heartbeat.FILE.stat().st_mode & 0o777 == 0o600
