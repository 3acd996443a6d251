"""The threads that answer requests, of which any number may wait for slow clients.

A thread costs little, what it works with does not: a connection to the database, a share of two
cores. So as many work at a time as gunicorn is told, and one that waits until its client sends or
reads counts as none: it steps aside, and another takes its place. Whoever is slow, by a bad line or
on purpose, keeps nobody from being served. Each that waits holds some memory, so there is an end to it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, Future
from contextlib import contextmanager
from typing import Any

from django.db import connections

log = logging.getLogger("gitlab.request_threads")

_Task = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class RequestThreads(Executor):
    """At most `size` threads at work, and up to `most_aside` others that wait."""

    def __init__(self, size: int, most_aside: int = 500) -> None:
        self.size = size
        self.most_aside = most_aside
        self._tasks: deque[_Task] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._threads = self._idle = self._aside = 0
        self._ended = False

    @property
    def queued(self) -> int:
        """Tasks that wait for a thread."""
        return len(self._tasks)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See `Executor.submit`. Raises `RuntimeError` after `shutdown`."""
        future: Future[Any] = Future()
        with self._changed:
            if self._ended:
                raise RuntimeError("no task is taken any more")
            self._tasks.append((future, fn, args, kwargs))
            self._see_to_tasks()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """No more tasks. Threads that are at work are never waited for: gunicorn has done that."""
        with self._changed:
            self._ended = True
            while cancel_futures and self._tasks:
                self._tasks.popleft()[0].cancel()
            self._idle = 0
            self._changed.notify_all()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While this thread waits for its client, which may take long.

        Where more wait than work, it gives its connections to the databases back meanwhile. Where
        `most_aside` wait already, it counts as one at work.
        """
        with self._changed:
            if counts := self._aside < self.most_aside:
                self._aside += 1
            is_crowded = self._aside > self.size
            self._see_to_tasks()
        try:
            if is_crowded:
                for connection in connections.all(initialized_only=True):
                    if not connection.in_atomic_block:
                        connection.close()
            yield
        finally:
            with self._changed:
                self._aside -= counts

    def _see_to_tasks(self) -> None:
        """Wake or start a thread for a task that nobody has taken; to be called with the lock."""
        if not self._tasks:
            return
        if self._idle:
            self._idle -= 1
            self._changed.notify()
        elif self._threads - self._aside < self.size:
            self._threads += 1
            # Not waited for at the end: who is aside then may wait for ever.
            threading.Thread(target=self._work, name="request", daemon=True).start()

    def _work(self) -> None:
        """Take one task after the other, until there are enough other threads."""
        try:
            while task := self._next():
                future, function, arguments, named = task
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    result = function(*arguments, **named)
                except BaseException as error:  # noqa: BLE001 - as an executor does
                    future.set_exception(error)
                else:
                    future.set_result(result)
                del task, future, function, arguments, named
        finally:
            connections.close_all()

    def _next(self) -> _Task | None:
        """The next task; None where this thread is one too many, or all are to end."""
        with self._changed:
            while True:
                # Those that come back from aside make more than `size`, until as many have ended.
                if self._threads - self._aside > self.size or (self._ended and not self._tasks):
                    self._threads -= 1
                    # It may have been woken for a task.
                    self._see_to_tasks()
                    return None
                if self._tasks:
                    return self._tasks.popleft()
                # Whoever wakes it counts it out again.
                self._idle += 1
                self._changed.wait()
