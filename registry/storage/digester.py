"""The digest of bytes that come piece by piece, computed beside those who receive and write them.

Hashing is the longest part of an upload's way: as long as receiving and writing together. Both go
without Python's one lock, so where a core has nothing to do a thread hashes one piece while the
next one is received and written. Uploads and such threads are together no more than there are
cores: where several uploads keep these busy, each hashes alone as fast. A thread ends when its
upload has sent nothing for a moment.
"""

from __future__ import annotations

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


class Cores:
    """Who keeps the machine's cores busy, as far as this process hashes."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._lock = threading.Lock()
        self._uploads = self._threads = 0

    def begin_upload(self) -> None:
        """A large upload begins, whose thread is one of those that work."""
        with self._lock:
            self._uploads += 1

    def end_upload(self) -> None:
        """It has ended."""
        with self._lock:
            self._uploads -= 1

    def take(self) -> bool:
        """Whether a core has nothing to do; it is then given to a thread, until `give_back`."""
        with self._lock:
            is_free = self._uploads + self._threads < self._count
            self._threads += is_free
            return is_free

    def give_back(self) -> None:
        """A thread has ended."""
        with self._lock:
            self._threads -= 1

    def are_short(self) -> bool:
        """Whether a thread that was given a core is in the way of others by now."""
        return self._uploads + self._threads > self._count


_cores = Cores(len(os.sched_getaffinity(0)))


class Digester:
    """The digest of an upload, for one thread, as a context: at its end nothing is under way."""

    def __init__(self, algorithm: str) -> None:
        """`algorithm` is one of `hashlib`'s."""
        self._hasher = hashlib.new(algorithm)
        self._size, self._last = 0, time.monotonic()
        self._is_large = False
        self._beside: _Beside | None = None

    def update(self, piece: Chunk) -> None:
        """Go on with `piece`, which has to stay as it is until the call after the next one, or
        until the digest was asked for.
        """
        now = time.monotonic()
        is_quick, self._last = now - self._last < _MOMENT, now
        self._size += len(piece)
        if self._size > _ALONE and not self._is_large:
            self._is_large = True
            _cores.begin_upload()
        if self._beside is not None and not _cores.are_short() and self._beside.takes(piece):
            return
        self._settle()
        if is_quick and self._is_large and len(piece) >= _LARGE:
            self._beside = _Beside.begun(self._hasher)
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
            if self._is_large:
                _cores.end_upload()


class _Beside:
    """A thread that hashes what it is given, in its order, and at most two pieces at a time."""

    def __init__(self, hasher: hashlib._Hash) -> None:
        self._hasher = hasher
        self._given: queue.SimpleQueue[Chunk | None] = queue.SimpleQueue()
        self._done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._under_way = 0
        self._failure: BaseException | None = None
        # Between the last look for a piece and the end.
        self._lock = threading.Lock()
        self._has_ended = False

    @classmethod
    def begun(cls, hasher: hashlib._Hash) -> _Beside | None:
        """One that works for `hasher`, None where no thread is to be had."""
        if not _cores.take():
            return None
        made = cls(hasher)
        try:
            threading.Thread(target=made._run, name="digester", daemon=True).start()
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
        self._wait(until_left=1)
        return True

    def end(self) -> None:
        """Wait until all is hashed that was given."""
        self._given.put(None)
        self._wait(until_left=0)

    def _wait(self, *, until_left: int) -> None:
        while self._under_way > until_left:
            self._done.get()
            self._under_way -= 1
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
