"""The Celery app and its schedule: ``celery -A workers worker --clock``.

Every task may run twice and none is needed: what is to be done is written in rows, a task only says
"look now", and the clock says so every few seconds. A message whose time has passed is thrown away.
"""

from __future__ import annotations

import logging
import os

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "gitlab.settings")

import django
from celery import Celery
from celery.signals import worker_ready
from django.apps import apps

if not apps.ready:
    django.setup()

from gitlab.jobs import broker
from workers import heartbeat, measures, request_ids, schedule  # noqa: F401 - they listen to signals

log = logging.getLogger(__name__)

app = Celery("workers")
app.conf.update(broker.configuration())
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    worker_prefetch_multiplier=1,
    worker_hijack_root_logger=False,
    # In memory: a file of it can break in a crash, and would only say when a bell last rang.
    beat_scheduler="celery.beat:Scheduler",
    beat_schedule={
        "sweep deletions": {
            "task": "workers.tasks.sweep_deletions",
            "schedule": 5.0,
            "options": {"expires": 5},
        },
        "sweep cleanups": {
            "task": "workers.tasks.sweep_cleanups",
            "schedule": 10.0,
            "options": {"expires": 10},
        },
        "sweep file jobs": {
            "task": "workers.tasks.sweep_file_jobs",
            "schedule": 15.0,
            "options": {"expires": 15},
        },
        "tell revocations": {
            "task": "workers.tasks.tell_revocations",
            "schedule": 5.0,
            "options": {"expires": 5},
        },
        "finish path changes": {
            "task": "workers.tasks.finish_path_changes",
            "schedule": 30.0,
            "options": {"expires": 30},
        },
        "read events": {
            "task": "workers.tasks.read_events",
            "schedule": 10.0,
            "options": {"expires": 10},
        },
        "review garbage": {
            "task": "workers.tasks.review_garbage",
            "schedule": 10.0,
            "options": {"expires": 10},
        },
        "sweep sessions": {
            "task": "workers.tasks.sweep_sessions",
            "schedule": 3600.0,
            "options": {"expires": 3600},
        },
        "deactivate absent": {
            "task": "workers.tasks.deactivate_absent",
            "schedule": 3600.0,
            "options": {"expires": 3600},
        },
        "sync directories": {
            "task": "workers.tasks.sync_directories",
            "schedule": 3600.0,
            "options": {"expires": 3600},
        },
        "sweep jobs": {
            "task": "workers.tasks.sweep_jobs",
            "schedule": 300.0,
            "options": {"expires": 300},
        },
        "seal audit events": {
            "task": "workers.tasks.seal_audit_events",
            "schedule": 10.0,
            "options": {"expires": 10},
        },
        "sweep audit events": {
            "task": "workers.tasks.sweep_audit_events",
            "schedule": 3600.0,
            "options": {"expires": 3600},
        },
        "warn of expiry": {
            "task": "workers.tasks.warn_of_expiry",
            "schedule": 3600.0,
            "options": {"expires": 3600},
        },
        "warn of quotas": {
            "task": "workers.tasks.warn_of_quotas",
            "schedule": 3600.0,
            "options": {"expires": 3600},
        },
        "measure storage": {
            "task": "workers.tasks.measure_storage",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "send mail": {
            "task": "workers.tasks.send_mail",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
        "verify a slice": {
            "task": "workers.tasks.verify_slice",
            "schedule": 60.0,
            "options": {"expires": 60},
        },
    },
)
app.steps["worker"].add(schedule.ClockStep)
app.user_options["worker"].add(schedule.OPTION)
app.autodiscover_tasks(["workers"], force=True)


@worker_ready.connect
def _say_so(**_: object) -> None:
    """One line in place of Celery's banner."""
    log.setLevel(logging.INFO)
    log.info("the worker is ready")
