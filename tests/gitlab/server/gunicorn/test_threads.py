"""The threads that answer requests: so many at work, any number aside."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from pathlib import Path

import pytest
from django.db import connections
from pytest_django import DjangoDbBlocker

from gitlab.server.gunicorn.threads import RequestThreads

pytestmark = pytest.mark.engineless
LONG = 20.0


def blocked(
    threads: RequestThreads, count: int, *, aside: bool
) -> tuple[threading.Event, list[Future[None]]]:
    """So many tasks that wait, each on a thread by now, until the event is set."""
    go_on, begun = threading.Event(), threading.Semaphore(0)

    def task() -> None:
        if aside:
            with threads.aside():
                begun.release()
                go_on.wait(LONG)
        else:
            begun.release()
            go_on.wait(LONG)

    futures = [threads.submit(task) for _ in range(count)]
    for _ in range(count):
        assert begun.acquire(timeout=LONG)
    return go_on, futures


class TestSubmit:
    def test_a_result_and_an_error_come_back(self) -> None:
        threads = RequestThreads(1)
        assert threads.submit(divmod, 7, 2).result(LONG) == (3, 1)
        with pytest.raises(ZeroDivisionError):
            threads.submit(divmod, 7, 0).result(LONG)
        assert threads.submit(lambda *, a: a, a=1).result(LONG) == 1

    def test_no_more_than_size_work_at_once(self) -> None:
        threads = RequestThreads(3)
        go_on, futures = blocked(threads, 3, aside=False)
        late: Future[int] = threads.submit(lambda: 1)
        assert threads.queued == 1
        assert not wait([late], timeout=0.2).done
        go_on.set()
        assert late.result(LONG) == 1
        assert not wait(futures, timeout=LONG).not_done

    def test_many_tasks_at_once_each_find_a_thread(self) -> None:
        threads = RequestThreads(4)
        for _ in range(50):
            go_on, futures = blocked(threads, 4, aside=False)
            go_on.set()
            assert not wait(futures, timeout=LONG).not_done

    def test_nothing_is_taken_after_the_shutdown(self) -> None:
        threads = RequestThreads(1)
        go_on, futures = blocked(threads, 1, aside=False)
        queued = threads.submit(lambda: 1)
        threads.shutdown(wait=False, cancel_futures=True)
        with pytest.raises(RuntimeError):
            threads.submit(lambda: 1)
        assert queued.cancelled()
        go_on.set()
        assert not wait(futures, timeout=LONG).not_done


class TestAside:
    def test_those_aside_keep_nobody_from_working(self) -> None:
        threads = RequestThreads(2)
        slow, waiting = blocked(threads, 50, aside=True)
        busy, working = blocked(threads, 2, aside=False)
        busy.set()
        slow.set()
        assert not wait(waiting + working, timeout=LONG).not_done

    def test_stepping_aside_lets_a_queued_task_begin(self) -> None:
        threads = RequestThreads(1)
        step, go_on = threading.Event(), threading.Event()

        def task() -> None:
            step.wait(LONG)
            with threads.aside():
                go_on.wait(LONG)

        first = threads.submit(task)
        second = threads.submit(lambda: 2)
        step.set()
        assert second.result(LONG) == 2
        go_on.set()
        first.result(LONG)

    def test_there_is_an_end_to_how_many_wait(self) -> None:
        threads = RequestThreads(2, most_aside=3)
        slow, waiting = blocked(threads, 5, aside=True)
        late = threads.submit(lambda: 1)
        assert not wait([late], timeout=0.2).done
        slow.set()
        assert late.result(LONG) == 1
        assert not wait(waiting, timeout=LONG).not_done
        assert threads._aside == 0

    def test_afterwards_there_are_no_more_threads_than_before(self) -> None:
        threads = RequestThreads(2)
        slow, waiting = blocked(threads, 20, aside=True)
        slow.set()
        assert not wait(waiting, timeout=LONG).not_done
        # Each that is one too many ends when it looks for its next task; those that idle when
        # woken.
        for _ in range(100):
            futures = [threads.submit(lambda: None) for _ in range(20)]
            assert not wait(futures, timeout=LONG).not_done
            if threads._threads <= 2:
                break
        assert threads._threads <= 2
        go_on, futures = blocked(threads, 2, aside=False)
        threads.submit(lambda: 1)
        assert threads.queued == 1
        go_on.set()

    def test_a_failure_aside_is_counted_out_too(self) -> None:
        threads = RequestThreads(1)

        def task() -> None:
            with threads.aside():
                raise EOFError

        with pytest.raises(EOFError):
            threads.submit(task).result(LONG)
        assert threads._aside == 0

    def test_inside_of_itself_it_counts_once(self) -> None:
        threads = RequestThreads(2)
        go_on, begun = threading.Event(), threading.Event()

        def task() -> None:
            with threads.aside(), threads.aside():
                begun.set()
                go_on.wait(LONG)

        future = threads.submit(task)
        assert begun.wait(LONG)
        assert (threads._aside, threads._working) == (1, 0)
        go_on.set()
        future.result(LONG)

    def test_a_thread_of_somebody_else_has_no_turn_to_give(self) -> None:
        threads = RequestThreads(1)
        with threads.aside():
            assert (threads._aside, threads._working) == (0, 0)

    def test_a_connection_that_cannot_be_closed_costs_no_turn(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        threads = RequestThreads(1)
        slow, waiting = blocked(threads, 1, aside=True)

        def fail(**_: object) -> list[object]:
            monkeypatch.undo()
            raise EOFError

        monkeypatch.setattr("gitlab.server.gunicorn.threads.connections.all", fail)

        def task() -> None:
            with threads.aside():
                pass

        with pytest.raises(EOFError):
            threads.submit(task).result(LONG)
        slow.set()
        assert not wait(waiting, timeout=LONG).not_done
        assert threads._aside == 0
        assert threads.submit(lambda: 1).result(LONG) == 1


class TestConnections:
    """What a thread holds of the databases while it waits."""

    @staticmethod
    def held_by(threads: RequestThreads, count: int) -> list[bool]:
        """Of so many threads aside, which still have the connection that they had opened."""
        go_on = threading.Event()
        begun = threading.Semaphore(0)
        found: list[bool] = []

        def task() -> None:
            connection = connections["gitlab_file"]
            connection.ensure_connection()
            with threads.aside():
                found.append(connection.connection is not None)
                begun.release()
                go_on.wait(LONG)

        futures = [threads.submit(task) for _ in range(count)]
        for _ in range(count):
            assert begun.acquire(timeout=LONG)
        go_on.set()
        for future in futures:
            future.result(LONG)
        return found

    @pytest.fixture(autouse=True)
    def _database(
        self,
        monkeypatch: pytest.MonkeyPatch,
        django_db_blocker: DjangoDbBlocker,
        tmp_path: Path,
    ) -> Iterator[None]:
        settings = {**connections.databases["default"], "NAME": tmp_path / "file.sqlite3"}
        settings |= {"ENGINE": "django.db.backends.sqlite3", "OPTIONS": {}, "TEST": {}}
        monkeypatch.setitem(connections.databases, "gitlab_file", settings)
        with django_db_blocker.unblock():
            yield

    def test_a_few_keep_theirs(self) -> None:
        assert self.held_by(RequestThreads(4), 4) == [True] * 4

    def test_a_crowd_gives_them_back(self) -> None:
        found = self.held_by(RequestThreads(4), 30)
        assert found.count(True) <= 4
