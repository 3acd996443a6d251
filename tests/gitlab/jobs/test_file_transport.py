"""Messages as files: whole, once each, in order."""

from __future__ import annotations

import threading
from pathlib import Path
from queue import Empty
from typing import Any

import pytest
from celery import Celery

from gitlab.jobs import broker

pytestmark = pytest.mark.engineless


@pytest.fixture
def connect(settings: Any, tmp_path: Path) -> Any:
    settings.HOME = tmp_path

    def make() -> Celery:
        return broker.connect("test")

    return make


def _channel(app: Any) -> Any:
    return app.connection().channel()


def test_each_message_is_taken_once_and_in_order(connect: Any) -> None:
    one, other = _channel(connect()), _channel(connect())
    for number in range(5):
        one._put("berth", {"number": number})
    taken = [channel._get("berth")["number"] for channel in (one, other, one, other, one)]
    assert sorted(taken) == [0, 1, 2, 3, 4]
    with pytest.raises(Empty):
        one._get("berth")


def test_a_worker_looks_soon_whether_to_stop(connect: Any) -> None:
    """Though Celery would wait for a message for longer."""
    with connect().connection() as connection:
        channel = connection.channel()
        channel.queue_declare("berth")
        channel.basic_consume("berth", no_ack=True, callback=print, consumer_tag="c")
        with pytest.raises(TimeoutError):
            connection.drain_events(timeout=3600)


def test_queues_are_kept_apart(connect: Any) -> None:
    channel = _channel(connect())
    channel._put("x.berth", {})
    with pytest.raises(Empty):
        channel._get("berth")


def test_a_broken_message_is_thrown_away(connect: Any, tmp_path: Path) -> None:
    channel = _channel(connect())
    (tmp_path / "broker" / "queue" / "000_x.berth.msg").touch()
    channel._put("berth", {"number": 1})
    assert channel._get("berth") == {"number": 1}
    assert list((tmp_path / "broker" / "queue").iterdir()) == []


def test_a_reader_never_sees_a_part(connect: Any) -> None:
    """kombu's own transport fails here within a few hundred messages."""
    count, failures, taken = 1500, [], []
    writing = threading.Event()
    writing.set()

    def write() -> None:
        channel = _channel(connect())
        for number in range(count):
            channel._put("berth", {"number": number, "padding": "x" * 5000})
        writing.clear()

    def read() -> None:
        channel = _channel(connect())
        while True:
            still = writing.is_set()
            try:
                taken.append(channel._get("berth")["number"])
            except Empty:
                if not still:
                    return
            except Exception as error:
                failures.append(error)
                return

    threads = [threading.Thread(target=run) for run in (write, read, read)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert sorted(taken) == list(range(count))


def test_two_processes_bind_at_the_same_time(connect: Any) -> None:
    channels = [_channel(connect()) for _ in range(4)]
    threads = [
        threading.Thread(target=channel._queue_bind, args=("e", "r", "", f"queue{number}"))
        for number, channel in enumerate(channels)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {row.queue for row in channels[0].get_table("e")} == {f"queue{n}" for n in range(4)}
