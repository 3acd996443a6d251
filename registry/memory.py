"""Memory that a large request has needed goes back to the system when it has been answered.

glibc's allocator adapts to what it sees: after the first large block it keeps blocks of that size
in its heaps, one a thread, where a single small object above them holds them for good. A process
that has read a few manifests of four megabytes then stays as large as it was. Here blocks from a
quarter of a megabyte on stay apart and go back at once, and two heaps serve all threads. What is
free in the middle of these goes back after each large request.

A connection to the database keeps what has gone through it too: SQLite what was last given to each
statement, and pages; PostgreSQL's client a buffer that only grows.
"""

from __future__ import annotations

import contextlib
import ctypes

from registry.services import database

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
"""From glibc's ``malloc.h``; mallopt(3)."""

_SETTINGS = {
    _M_MMAP_THRESHOLD: 256 * 1024,
    _M_TRIM_THRESHOLD: 1024 * 1024,
    _M_ARENA_MAX: 2,
}


LARGE = 256 * 1024
"""Bytes of content, from which on a request is a large one. Hardly any manifest has as many."""


def let_go(size: int) -> None:
    """Have what a request needed for `size` bytes of content go back, where these are many.

    To be called when the work is done, outside of transactions.
    """
    if size < LARGE:
        return
    database.close_kept()
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def give_back() -> None:
    """Have this process give memory back as it is freed. Nothing where the allocator is another."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        mallopt = ctypes.CDLL(None).mallopt
        for parameter, value in _SETTINGS.items():
            mallopt(parameter, value)
