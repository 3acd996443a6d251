"""What a store of bytes does: the contract that every store keeps.

A store knows nothing of repositories, names or rights. `tests/contracts/blob_store.py` holds every
implementation to what the docstrings say.
"""

from __future__ import annotations

import datetime as dt
import functools
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, BinaryIO, Protocol
from uuid import UUID

from django.conf import settings
from django.utils.module_loading import import_string

CHUNK = 1024 * 1024
"""Bytes that are read and written at once."""


@dataclass(frozen=True, slots=True)
class Part:
    """A durable piece of an upload: the store's name for it, its bytes, their digest."""

    name: str
    size: int
    digest: str

    def as_json(self) -> dict[str, Any]:
        """The form in which a session's row keeps it."""
        return asdict(self)


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

    def write(self, session: UUID, chunks: Iterable[bytes], algorithm: str = "sha256") -> Part:
        """Write a new part of an upload from `chunks`, hashing as they come.

        When this returns, the part survives a crash. Memory stays flat however long the part is.
        When `chunks` raises, the part is removed and the exception goes on. No chunks make a part
        of no bytes.
        """

    def join(self, session: UUID, parts: Iterable[Part], algorithm: str = "sha256") -> Part:
        """One durable part of `parts` in order, hashed anew. The old ones stay."""

    def commit(self, session: UUID, part: Part, digest: str) -> None:
        """Make `part` the blob `digest`, over whatever lies there, durably.

        Atomic: a reader sees the old bytes or the new ones. The caller has compared the digest.
        A part that has been committed already, with the blob in place, is no error.
        """

    def discard(self, session: UUID, part: Part | None = None) -> None:
        """Remove a part, or the whole of a session. What is not there is no error."""

    def size(self, digest: str) -> int | None:
        """The size of a blob in bytes, None where it is not in the store."""

    def open(self, digest: str) -> BinaryIO:
        """A blob for reading, seekable. Raises `FileNotFoundError`."""

    def delete(self, digest: str) -> bool:
        """Remove a blob; whether it was there."""

    def blobs(self) -> Iterator[StoredBlob]:
        """Every blob, in no order, without holding them all in memory."""

    def check(self) -> None:
        """Write, read and delete something small. Raises where that fails."""


_DRIVERS = {"filesystem": "registry.storage.filesystem.FilesystemStore"}


@functools.cache
def _open(driver: str, root: str) -> BlobStore:
    store: BlobStore = import_string(_DRIVERS[driver])(root)
    return store


def current() -> BlobStore:
    """The store that the settings name."""
    configured = settings.REGISTRY_STORAGE
    return _open(configured["driver"], str(configured["root"]))
