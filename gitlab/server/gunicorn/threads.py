"""The threads that answer requests, of which any number may wait for slow clients.

A thread costs little, what it works with does not: a connection to the database, a share of two
cores. So as many work at a time as gunicorn is told, and one that waits until its client sends or
reads counts as none: it steps aside, and another takes its place. Whoever is slow, by a bad line or
on purpose, keeps nobody from being served. Each that waits holds some memory, so there is an end to
it.

Each that works has a turn, and there are `size` turns. Who comes back from aside waits for one,
before any new task: a crowd whose bytes all come at once would open more connections than a
database takes.
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

log = logging.getLogger("gitlab.server.gunicorn.threads")

_LONGEST_RETURN = 10.0
"""Seconds after which one that comes back goes on without a turn.

It may hold what those that work are waiting for; then nobody would ever give a turn back.
"""

_Task = tuple["Future[Any]", Callable[..., Any], tuple[Any, ...], dict[str, Any]]


class RequestThreads(Executor):
    """At most `size` threads at work, and up to `most_aside` others that wait."""

    def __init__(self, size: int, most_aside: int = 500) -> None:
        self.size = size
        self.most_aside = most_aside
        self._tasks: deque[_Task] = deque()
        self._changed = threading.Condition(threading.Lock())
        self._returning: deque[threading.Lock] = deque()
        # A turn that was given for a task is promised until a thread has taken the task.
        self._threads = self._idle = self._aside = self._working = self._promised = 0
        self._ended = False
        self._own = threading.local()

    @property
    def queued(self) -> int:
        """Tasks that wait for a thread, and threads that wait for a turn."""
        return len(self._tasks) + len(self._returning)

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """See `Executor.submit`. Raises `RuntimeError` after `shutdown`."""
        future: Future[Any] = Future()
        with self._changed:
            if self._ended:
                raise RuntimeError("no task is taken any more")
            self._tasks.append((future, fn, args, kwargs))
            self._give_turns()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """No more tasks. Threads that are at work are never waited for: gunicorn has done that."""
        with self._changed:
            self._ended = True
            cancelled = list(self._tasks) if cancel_futures else []
            if cancel_futures:
                self._tasks.clear()
            self._idle = 0
            self._changed.notify_all()
        # Whoever waits for one may want the lock.
        for future, *_ in cancelled:
            future.cancel()

    @contextmanager
    def aside(self) -> Iterator[None]:
        """While this thread waits for its client, which may take long.

        Where more wait than work, it gives its connections to the databases back meanwhile. Where
        `most_aside` wait already, it counts as one at work. Inside of itself, and in a thread that
        is none of these, it does nothing.
        """
        if not getattr(self._own, "works", False):
            yield
            return
        with self._changed:
            if counts := self._aside < self.most_aside:
                self._aside += 1
                self._working -= 1
                self._give_turns()
            is_crowded = self._aside > self.size
        self._own.works = False
        try:
            if is_crowded:
                for connection in connections.all(initialized_only=True):
                    if not connection.in_atomic_block:
                        connection.close()
            yield
        finally:
            self._own.works = True
            if counts:
                self._come_back()

    def _come_back(self) -> None:
        """Take a turn as soon as there is one."""
        with self._changed:
            if self._working < self.size and not self._returning:
                self._working += 1
                self._aside -= 1
                return
            turn = threading.Lock()
            turn.acquire()
            self._returning.append(turn)
        has_turn = turn.acquire(timeout=_LONGEST_RETURN)
        with self._changed:
            self._aside -= 1
            # It may have been given in this very moment.
            if not has_turn and turn in self._returning:
                self._returning.remove(turn)
                self._working += 1

    def _give_turns(self) -> None:
        """Give the free turns to those that wait for one; to be called with the lock."""
        while self._working < self.size:
            if self._returning:
                self._returning.popleft().release()
            elif len(self._tasks) <= self._promised:
                return
            elif self._idle:
                self._idle -= 1
                self._promised += 1
                self._changed.notify()
            elif self._start():
                self._promised += 1
            else:
                return
            self._working += 1

    def _start(self) -> bool:
        # Not waited for at the end: who is aside then may wait for ever.
        thread = threading.Thread(target=self._work, name="request", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # The system allows no more. The next that has finished takes the task.
            log.exception("no thread could be started")
            return False
        self._threads += 1
        return True

    def _work(self) -> None:
        """Take one task after the other, until there are enough other threads."""
        self._own.works = True
        try:
            task = self._next(has_turn=False)
            while task is not None:
                future, function, arguments, named = task
                if future.set_running_or_notify_cancel():
                    try:
                        result = function(*arguments, **named)
                    except BaseException as error:  # noqa: BLE001 - as an executor does
                        future.set_exception(error)
                    else:
                        future.set_result(result)
                    # Nothing of it is held while this thread idles.
                    result = None
                del task, future, function, arguments, named
                task = self._next(has_turn=True)
        finally:
            connections.close_all()

    def _next(self, *, has_turn: bool) -> _Task | None:
        """The next task; None where this thread is one too many, or all are to end.

        Without a turn it was started for one that is promised, as is one that idles when it is
        woken.
        """
        with self._changed:
            while True:
                if not has_turn and self._promised:
                    self._promised -= 1
                    has_turn = True
                    if self._tasks:
                        return self._tasks.popleft()
                if has_turn:
                    if (
                        self._working <= self.size
                        and not self._returning
                        and len(self._tasks) > self._promised
                    ):
                        return self._tasks.popleft()
                    self._working -= 1
                    has_turn = False
                    self._give_turns()
                if self._ended or self._idle + self._working >= self.size:
                    self._threads -= 1
                    return None
                self._idle += 1
                self._changed.wait()
