"""The digest of bytes that come piece by piece, computed beside those who receive and write them.

Hashing is the longest part of an upload's way: as long as receiving and writing together. Both go
without Python's one lock, so where a core has nothing to do a thread hashes one piece while the
next one is received and written. There is one only as long as uploads that send and such threads
are together, in this process, no more than there are cores: where several uploads keep these busy,
each hashes alone as fast. A thread ends when its upload has sent nothing for a moment.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import queue
import threading
import time
from types import TracebackType
from typing import Self

from registry.storage.base import Chunk

_ALONE = 1024 * 1024
"""Bytes of an upload, before it is worth a thread."""

_LARGE = 64 * 1024
"""Bytes of a piece that takes longer to hash than to give away."""

_MOMENT = 0.02
"""Seconds without a piece after which a client is too slow for a thread to gain anything."""


_SILENT = 0.1
"""Seconds without a piece after which an upload keeps no core busy."""


class Cores:
    """Who keeps the cores busy, as far as this process hashes."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._threads = 0
        # By a large upload, when its last piece came.
        self._uploads: dict[object, float] = {}

    def note(self, upload: object, now: float) -> None:
        """A piece of a large upload has come, which has a thread of its own."""
        with self._lock:
            self._uploads[upload] = now

    def forget(self, upload: object) -> None:
        """It has ended."""
        with self._lock:
            self._uploads.pop(upload, None)

    def take(self, now: float) -> bool:
        """Whether a core has nothing to do; it is then given to a thread, until `give_back`."""
        with self._lock:
            is_free = self._busy(now) < self._count
            self._threads += is_free
            return is_free

    def give_back(self) -> None:
        """A thread has ended."""
        with self._lock:
            self._threads -= 1

    def are_short(self, now: float) -> bool:
        """Whether a thread that was given a core is in the way of others by now."""
        with self._lock:
            return self._busy(now) > self._count

    def _busy(self, now: float) -> int:
        return self._threads + sum(now - last < _SILENT for last in self._uploads.values())


def _count() -> int:
    """Cores that this process may use, as far as the system says it."""
    with contextlib.suppress(AttributeError):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


_cores = Cores(_count())


class Digester:
    """The digest of an upload, for one thread, as a context: at its end nothing is under way."""

    def __init__(self, algorithm: str) -> None:
        """`algorithm` is one of `hashlib`'s."""
        self._hasher = hashlib.new(algorithm)
        self._size, self._last = 0, time.monotonic()
        self._beside: _Beside | None = None

    def update(self, piece: Chunk) -> None:
        """Go on with `piece`, which has to stay as it is until the call after the next one, or
        until the digest was asked for.
        """
        now = time.monotonic()
        is_quick, self._last = now - self._last < _MOMENT, now
        self._size += len(piece)
        is_large = self._size > _ALONE
        if is_large:
            _cores.note(self, now)
        if self._beside is not None and not _cores.are_short(now) and self._beside.takes(piece):
            return
        self._settle()
        if is_quick and is_large and len(piece) >= _LARGE:
            self._beside = _Beside.begun(self._hasher, now)
        if self._beside is None or not self._beside.takes(piece):
            self._settle()
            self._hasher.update(piece)

    def digest(self) -> bytes:
        """The digest of all pieces."""
        self._settle()
        return self._hasher.digest()

    def _settle(self) -> None:
        """Wait for what is under way."""
        if self._beside is not None:
            beside, self._beside = self._beside, None
            beside.end()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        try:
            self._settle()
        finally:
            _cores.forget(self)


class _Beside:
    """A thread that hashes what it is given, in its order, and at most two pieces at a time."""

    def __init__(self, hasher: hashlib._Hash) -> None:
        self._hasher = hasher
        self._given: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="digester", daemon=True)
        self._under_way = 0
        self._failure: BaseException | None = None
        # Between the last look for a piece and the end.
        self._lock = threading.Lock()
        self._has_ended = False

    @classmethod
    def begun(cls, hasher: hashlib._Hash, now: float) -> _Beside | None:
        """One that works for `hasher`, None where no thread is to be had."""
        if not _cores.take(now):
            return None
        made = cls(hasher)
        try:
            made._thread.start()
        except RuntimeError:  # The machine has no more of them.
            _cores.give_back()
            return None
        return made

    def takes(self, piece: Chunk) -> bool:
        """Whether it will hash `piece`; it is then at no other one. False where it has ended."""
        with self._lock:
            if self._has_ended:
                return False
            self._given.put(piece)
        self._under_way += 1
        while self._under_way > 1:
            self._done.get()
            self._under_way -= 1
        self._raise()
        return True

    def end(self) -> None:
        """Wait until all is hashed that was given."""
        self._given.put(None)
        self._thread.join()
        self._raise()

    def _raise(self) -> None:
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            while (piece := self._next()) is not None:
                try:
                    self._hasher.update(piece)
                except BaseException as error:  # noqa: BLE001 - it is raised where it is waited for
                    self._failure = error
                self._done.put(None)
        finally:
            _cores.give_back()

    def _next(self) -> Chunk | None:
        """The next piece, None where there is an end to it."""
        try:
            return self._given.get(timeout=_MOMENT)
        except queue.Empty:
            with self._lock:
                self._has_ended = self._given.empty()
            return None if self._has_ended else self._given.get()
