"""What a store of bytes does: the contract that every store keeps.

A store knows nothing of repositories, names or rights. `tests/contracts/blob_store.py` holds every
implementation to what the docstrings say.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Protocol
from uuid import UUID

CHUNK = 1024 * 1024
"""Bytes that are read and written at once."""

Chunk = bytes | memoryview
"""A piece of content. It is used before the second one after it is asked for, which may lie in its
place: so one may still be hashed while the next one comes.
"""


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of an upload: the store's name for it, its bytes, their digest."""

    name: str
    size: int
    digest: str


@dataclass(frozen=True, slots=True)
class StoredBlob:
    """A blob that lies in the store, whether or not a row knows it."""

    digest: str
    size: int
    modified_at: dt.datetime


class StorageFull(Exception):
    """No space, no inodes, or a quota of the filesystem reached. Nothing was left behind."""


class StorageUnavailable(Exception):
    """The store can't be read or written. Nothing was left behind."""


class BlobStore(Protocol):
    """A store. Every method may be called from several threads and processes at once.

    Each raises `StorageFull` or `StorageUnavailable` where the medium fails.
    """

    is_here: bool
    """Whether a blob is opened by this machine's kernel, and not by asking a server for it."""

    def write(
        self,
        session: UUID,
        chunks: Iterable[Chunk],
        algorithm: str = "sha256",
        *,
        durable: bool = True,
    ) -> Part:
        """Write a new part of an upload from `chunks`, hashing as they come.

        When this returns its bytes survive a crash: whoever finds the part then finds all of it.
        Where they need not be `durable`, that is so once it is staged or committed. Memory stays
        flat however long the part is. When `chunks` raises, the part is removed and the exception
        goes on. No chunks make a part of no bytes.
        """

    def digest(self, session: UUID, parts: Iterable[Part], algorithm: str = "sha256") -> str:
        """The digest of `parts` one after the other, read and not written.

        Raises `FileNotFoundError` where one of them is lost.
        """

    def join(self, session: UUID, parts: Iterable[Part], algorithm: str = "sha256") -> Part:
        """One part of `parts` in order, hashed anew, to be staged next. The old ones stay."""

    def stage(self, session: UUID, part: Part, digest: str) -> None:
        """Do ahead what takes long of a `commit`, which can then be short, in a transaction.

        From here on the bytes may lie at their digest's place, durably. Where no row comes to name
        them, they are an orphan file. Raises `FileNotFoundError`.
        """

    def commit(self, session: UUID, part: Part, digest: str, *, staged: bool = False) -> None:
        """Make `part` the blob `digest`, over whatever lies there, durably.

        Atomic: a reader sees the old bytes or the new ones. The caller has compared the digest.
        A part that has been committed already, with the blob in place, is no error. `staged` says
        that the caller has staged the same part: then only what is not there any more is made
        again. The part itself may stay until its session is discarded.

        Raises `FileNotFoundError` where the part is lost.
        """

    def discard(self, session: UUID, part: Part | None = None) -> None:
        """Remove a part, or the whole of a session. What is not there is no error."""

    def size(self, digest: str) -> int | None:
        """The size of a blob in bytes, None where it is not in the store."""

    def sizes(self, digests: Collection[str]) -> dict[str, int | None]:
        """`size` of each, without waiting for one after the other where asking takes time."""

    def open(self, digest: str, start: int = 0) -> BinaryIO:
        """A blob for reading from `start` on, seekable. Raises `FileNotFoundError`.

        A blob that is replaced or removed meanwhile is read to its end, or reading raises; bytes
        of two are never mixed.
        """

    def address(self, digest: str, seconds: int) -> str | None:
        """Where anybody may read the blob for so long, None where the store has no such address."""

    def delete(self, digest: str) -> bool:
        """Remove a blob; whether it was there."""

    def blobs(self, start: str = "") -> Iterator[StoredBlob]:
        """Every blob, in no order, without holding them all in memory.

        `start` is what their digests begin with after the algorithm: two hexadecimal digits, or "".
        """

    def status(self, digest: str) -> StoredBlob | None:
        """A blob as it lies in the store, None where it does not."""

    def quarantine(self, found: StoredBlob) -> bool:
        """Move the bytes of a blob aside, where readers don't find them and nobody deletes them.

        Only where it still is as it was `found` by `status`; whether it was.
        """

    def sweep(self, before: dt.datetime, is_live: Callable[[UUID], bool]) -> int:
        """Remove what a crash has left of uploads begun before `before`; how many pieces.

        `is_live` says whether a session is still counted on; nothing of one that is goes.
        """

    def check(self) -> None:
        """Write, read and delete something small, within seconds. Raises where that fails."""
