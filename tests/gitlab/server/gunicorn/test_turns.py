"""The turns of the threads that answer requests: none is lost, and none is made."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager

import pytest

from gitlab.server.gunicorn.threads import RequestThreads
from tests.gitlab.server.gunicorn.test_threads import LONG, blocked

pytestmark = pytest.mark.engineless


class Crowd:
    """How many are at work, as those see it that are."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.now = self.most = 0

    @contextmanager
    def __call__(self) -> Iterator[None]:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        try:
            yield
        finally:
            with self._lock:
                self.now -= 1


def until_at_rest(threads: RequestThreads) -> None:
    """Wait until nobody works, and see that nothing was lost on the way."""
    deadline = time.monotonic() + LONG
    while threads._working and time.monotonic() < deadline:
        time.sleep(0.001)
    with threads._changed:
        assert (threads._working, threads._promised, threads._aside) == (0, 0, 0)
        assert not threads._tasks
        assert not threads._returning
        assert threads._threads == threads._idle <= threads.size


class TestTurns:
    def test_a_crowd_that_comes_back_at_once_takes_turns(self) -> None:
        """Each opens a connection to the database again: PostgreSQL has a hundred."""
        threads = RequestThreads(3)
        crowd, go_on = Crowd(), threading.Event()

        def task() -> None:
            with threads.aside():
                go_on.wait(LONG)
            with crowd():
                time.sleep(0.005)

        futures = [threads.submit(task) for _ in range(60)]
        while threads._aside < 60:
            time.sleep(0.001)
        go_on.set()
        for future in futures:
            future.result(LONG)
        assert crowd.most <= 3
        until_at_rest(threads)

    def test_who_comes_back_goes_before_new_tasks(self) -> None:
        threads = RequestThreads(1)
        order: list[str] = []
        slow, step, go_on = threading.Event(), threading.Event(), threading.Event()

        def begun() -> None:
            with threads.aside():
                slow.wait(LONG)
            order.append("back")

        def busy() -> None:
            step.set()
            go_on.wait(LONG)

        futures = [threads.submit(begun), threads.submit(busy)]
        assert step.wait(LONG)
        futures.append(threads.submit(lambda: order.append("new")))
        slow.set()
        while not threads._returning:
            time.sleep(0.001)
        go_on.set()
        assert not wait(futures, timeout=LONG).not_done
        assert order == ["back", "new"]
        until_at_rest(threads)

    def test_one_that_holds_what_the_others_wait_for_goes_on(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gitlab.server.gunicorn.threads._LONGEST_RETURN", 0.05)
        threads = RequestThreads(1)
        lock, slow, locked = threading.Lock(), threading.Event(), threading.Event()

        def holder() -> None:
            with lock:
                locked.set()
                with threads.aside():
                    slow.wait(LONG)

        def other() -> None:
            slow.set()
            with lock:
                pass

        first = threads.submit(holder)
        assert locked.wait(LONG)
        second = threads.submit(other)
        assert not wait([first, second], timeout=LONG).not_done
        until_at_rest(threads)

    def test_where_no_thread_can_be_started_the_task_waits(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        threads = RequestThreads(4)
        go_on, futures = blocked(threads, 1, aside=False)

        def refuse(self: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            late = threads.submit(lambda: 1)
            assert threads.queued == 1
        go_on.set()
        assert late.result(LONG) == 1
        assert not wait(futures, timeout=LONG).not_done
        until_at_rest(threads)


@pytest.mark.parametrize("seed", range(4))
def test_whatever_comes_no_turn_is_lost_and_none_is_made(seed: int) -> None:
    """Thousands of tasks that fail, step aside and submit others, in any order."""
    chance = random.Random(seed)
    threads = RequestThreads(chance.randint(1, 5), most_aside=chance.randint(1, 20))
    crowd = Crowd()
    inner: list[Future[int]] = []

    def task(plan: list[float], number: int) -> int:
        for step in plan:
            with crowd():
                if step > 0.9:
                    inner.append(threads.submit(task, [], 0))
                time.sleep(step / 4000)
            if step > 0.2:
                with threads.aside(), threads.aside():
                    if step < 0.25:
                        raise EOFError
                    time.sleep(step / 1000)
        return number

    futures = []
    for number in range(1500):
        plan = [chance.random() for _ in range(chance.randint(0, 3))]
        futures.append(threads.submit(task, plan, number))
        time.sleep(0.002 if chance.random() < 0.02 else 0)
    for number, future in enumerate(futures):
        error = future.exception(LONG)
        assert isinstance(error, EOFError) or (error is None and future.result() == number)
    assert not wait(inner, timeout=LONG).not_done
    assert crowd.most <= threads.size
    until_at_rest(threads)
    threads.shutdown()
    deadline = time.monotonic() + LONG
    while threads._threads and time.monotonic() < deadline:
        time.sleep(0.001)
    assert threads._threads == 0
