"""What the worker counts, and what the broker has for it."""

from __future__ import annotations

import json
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gitlab.jobs import broker
from gitlab.jobs.enqueue import ENQUEUED_AT
from tests.e2e.components import require
from tests.e2e.redis_server import RedisServer
from workers import measures

pytestmark = pytest.mark.engineless


def value(name: str, **labels: str) -> float:
    return measures.REGISTRY.get_sample_value(name, labels) or 0.0


def task(name: str, **headers: Any) -> Any:
    return SimpleNamespace(name=f"workers.tasks.{name}", request=headers)


def test_a_task_is_counted_with_what_it_took_and_waited() -> None:
    one = task("one", **{ENQUEUED_AT: time.time() - 100})
    measures._begin(task_id="a", task=one)
    assert value("berth_tasks_in_progress") == 1
    measures._end(task_id="a", task=one, state="SUCCESS")
    assert value("berth_tasks_in_progress") == 0
    assert value("berth_tasks_total", task="one", outcome="succeeded") == 1
    assert value("berth_task_seconds_count", task="one") == 1
    assert 100 <= value("berth_task_wait_seconds_sum", task="one") < 200


@pytest.mark.parametrize("state", ["FAILURE", "RETRY", None])
def test_one_that_did_not_succeed(state: str | None) -> None:
    before = value("berth_tasks_total", task="two", outcome="failed")
    measures._begin(task_id="b", task=task("two"))
    measures._end(task_id="b", task=task("two"), state=state)
    assert value("berth_tasks_total", task="two", outcome="failed") == before + 1
    # Nobody said when it was rung.
    assert value("berth_task_wait_seconds_count", task="two") == 0


def test_one_whose_time_has_passed() -> None:
    measures._expired(sender=task("three"))
    assert value("berth_tasks_total", task="three", outcome="expired") == 1


def test_what_is_published_says_when() -> None:
    headers: dict[str, Any] = {}
    measures._note_the_moment(headers=headers)
    assert abs(headers[ENQUEUED_AT] - time.time()) < 60
    given = {ENQUEUED_AT: 1.0}
    measures._note_the_moment(headers=given)
    assert given == {ENQUEUED_AT: 1.0}


def test_the_file_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "metrics" / "worker.prom"
    measures.write(path)
    text = path.read_text()
    assert "berth_worker_seen_timestamp_seconds" in text
    assert text.endswith("\n")
    assert [found.name for found in path.parent.iterdir()] == ["worker.prom"]


def test_the_queue_of_files(settings: Any, tmp_path: Path) -> None:
    settings.HOME = tmp_path
    assert broker.waiting() == (0, 0.0)
    queue = tmp_path / "broker" / "queue"
    queue.mkdir(parents=True)
    for seconds in (30, 90):
        moment = int((time.time() - seconds) * 1000)
        (queue / f"{moment:015d}_{seconds}.berth.msg").touch()
    (queue / ".part").touch()
    (queue / f"{1:015d}_x.another.msg").touch()
    depth, age = broker.waiting()
    assert depth == 2
    assert 89 <= age < 150


def test_the_queue_in_redis(settings: Any, tmp_path: Path) -> None:
    require("redis")
    server = RedisServer(tmp_path / "redis")
    server.start()
    try:
        berth = settings.CONFIG.berth.model_copy(update={"broker_url": _Url(server.url(0))})
        settings.CONFIG = settings.CONFIG.model_copy(update={"berth": berth})
        assert broker.waiting() == (0, 0.0)
        app = broker.connect("test")
        for seconds in (90, 30):
            app.send_task("nobody", headers={ENQUEUED_AT: time.time() - seconds})
        depth, age = broker.waiting()
        assert depth == 2
        assert 89 <= age < 150
        found = json.loads(server.client(0).lindex(broker.QUEUE, -1))
        assert found["headers"]["task"] == "nobody"
    finally:
        server.stop()


class _Url:
    """As pydantic's SecretStr."""

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        """The text."""
        return self._text
