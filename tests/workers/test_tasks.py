"""Tasks are doors: the sweep rings, the schedule names tasks that exist, the broker is set up."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from gitlab.access_tokens import services as access_tokens
from gitlab.container_registry import bulk_deletion, deletion
from gitlab.container_registry.cleanup import cadence, requests, runs
from gitlab.jobs import broker, enqueue
from gitlab.jobs.leases import Outcome
from workers import tasks


@pytest.fixture
def app() -> Any:
    from workers.celery import app

    app.loader.import_default_modules()
    app.finalize()
    return app


def test_what_is_rung_and_scheduled_exists(app: Any) -> None:
    names = {entry["task"] for entry in app.conf.beat_schedule.values()} | {
        deletion.TASK,
        bulk_deletion.TASK,
        requests.TASK,
    }
    assert names <= set(app.tasks)
    assert all(entry["options"]["expires"] for entry in app.conf.beat_schedule.values())


@pytest.mark.django_db
def test_the_sweep_rings_for_each_image_that_waits(make_image: Any, enqueued: Any) -> None:
    image = make_image("alice/app", status="delete_scheduled")
    tasks.sweep_deletions()
    assert enqueued == [(deletion.TASK, image.pk)]


@pytest.mark.django_db
def test_the_sweep_rings_for_each_bulk_deletion(make_image: Any, enqueued: Any, alice: Any) -> None:
    job = bulk_deletion.schedule(alice, make_image("alice/app"), name_regex_delete=".*")
    tasks.sweep_deletions()
    assert enqueued == [(bulk_deletion.TASK, job.pk)]


def test_the_sweep_rings_for_each_cleanup(monkeypatch: pytest.MonkeyPatch, enqueued: Any) -> None:
    monkeypatch.setattr(cadence, "open_due", lambda: 1)
    monkeypatch.setattr(runs, "due", lambda: [7, 8])
    tasks.sweep_cleanups()
    assert enqueued == [(requests.TASK, 7), (requests.TASK, 8)]


def test_the_task_gives_a_cleanup_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    done = Outcome.DONE
    monkeypatch.setattr(runs, "run", lambda pk: asked.append(pk) or done)
    tasks.run_cleanup(7)
    assert asked == [7]


def test_the_task_deletes_the_tags_that_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    done = Outcome.DONE
    monkeypatch.setattr(bulk_deletion, "run", lambda pk: asked.append(pk) or done)
    tasks.delete_tags_in_bulk(7)
    assert asked == [7]


def test_the_task_deletes_the_image_that_it_names(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(deletion, "delete_repository", lambda pk: asked.append(pk) or Outcome.DONE)
    tasks.delete_container_repository(7)
    assert asked == [7]


def test_a_ring_reaches_the_worker_by_a_file(
    app: Any, settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.HOME = tmp_path
    monkeypatch.setattr(enqueue, "_app", lambda: broker.connect("test"))
    enqueue.now("workers.tasks.sweep_deletions")
    (message,) = (tmp_path / "broker" / "queue").iterdir()
    assert message.name.endswith(".berth.msg")
    assert "workers.tasks.sweep_deletions" in message.read_text()


def test_everything_is_json_without_results(app: Any) -> None:
    assert app.conf.accept_content == ["json"]
    assert app.conf.task_ignore_result
    assert app.conf.task_acks_late
    assert app.conf.broker_transport_options["polling_interval"] == broker.POLLING_INTERVAL


@pytest.mark.django_db
def test_the_tasks_warn_of_tokens_that_end_and_send_the_mail(
    alice: Any, settings: Any, enqueued: Any, mailoutbox: Any, caplog: Any
) -> None:
    settings.MAIL_ENABLED = True
    tomorrow = timezone.now().date() + dt.timedelta(days=1)
    access_tokens.create(alice, name="ci", scopes=["api"], expires_at=tomorrow)
    caplog.set_level("INFO")
    for _ in range(2):
        tasks.warn_of_expiry()
        tasks.send_mail()
    assert [mail.to for mail in mailoutbox] == [["alice@example.com"]]
    assert caplog.messages.count("people are told of 1 tokens that end soon") == 1
    assert caplog.messages.count("sent 1 mails") == 1
