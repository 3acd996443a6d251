"""How much each process grows: one upload of 4 GB, and 32 of 256 MB at once."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator

from benchmarks import loads
from benchmarks.loads import Client
from benchmarks.servers import Server

_STEP = 1024 * 1024
_INTERVAL = 0.2


def growth(server: Server, load: Callable[[], object]) -> float:
    """The most that one process grew while `load` ran, in MiB."""
    before = server.resident_mib()
    most = 0.0
    done = threading.Event()

    def watch() -> None:
        nonlocal most
        while not done.wait(_INTERVAL):
            for pid, now in server.resident_mib().items():
                most = max(most, now - before.get(pid, now))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        load()
    finally:
        done.set()
        watcher.join()
    return most


def one_large_upload(server: Server, token: str, size: int) -> None:
    """A blob of `size` bytes whose content is never held as a whole, by this side neither."""
    step = hashlib.sha256(b"seed").digest() * (_STEP // 32)
    hasher = hashlib.sha256()
    for _ in range(size // _STEP):
        hasher.update(step)

    def steps() -> Iterator[bytes]:
        for _ in range(size // _STEP):
            yield step

    Client(server, token).push_stream("bench/push", steps(), f"sha256:{hasher.hexdigest()}")


def many_uploads(server: Server, token: str, size: int, count: int) -> None:
    """`count` blobs of `size` bytes at once."""
    loads.push_many(server, token, size, count)
