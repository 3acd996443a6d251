"""The bytes of a store into a folder, and back: the second half of a backup.

Files are never changed in place, so a hard link is a copy that costs nothing.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from registry import digest as digests
from registry.models import Blob, UploadPart, UploadSession
from registry.services import database
from registry.storage import chosen as storage
from registry.storage import paths
from registry.storage.base import CHUNK
from registry.storage.filesystem import FilesystemStore

_BATCH = 500


class Incomplete(Exception):
    """A blob that a row names is not in the store."""


def save(folder: Path, *, by_link: bool) -> Iterator[int]:
    """Copy every blob that a row names into `folder`; yields the bytes of each.

    To be called while a lease lasts, and after the database was dumped: what the dump names is then
    there. Rows that come meanwhile come along. Raises `Incomplete`.
    """
    position = ""
    while True:
        rows = list(
            Blob.objects.filter(digest__gt=position)
            .order_by("digest")
            .values_list("digest", "size")[:_BATCH]
        )
        for digest, size in rows:
            target = paths.blob(folder, digest)
            if not (target.exists() and target.stat().st_size == size):
                _save_one(digest, target, by_link=by_link)
            yield size
        if not rows:
            return
        position = rows[-1][0]


def _save_one(digest: str, target: Path, *, by_link: bool) -> None:
    store = storage.current()
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        if by_link and isinstance(store, FilesystemStore):
            with contextlib.suppress(OSError):
                os.link(paths.blob(store.root, digest), target)
                return
        with store.open(digest) as source, target.open("xb") as file:
            while chunk := source.read(CHUNK):
                file.write(chunk)
            file.flush()
            os.fsync(file.fileno())
    except FileNotFoundError as error:
        raise Incomplete(f"{digest} is not in the store: see registry_verify") from error


def load(folder: Path, *, by_link: bool) -> Iterator[int]:
    """Bring every blob that a row names from `folder` into the store; yields the bytes of each.

    Upload sessions of the dump have lost their parts: they are removed, and clients begin anew.
    Raises `Incomplete`, after all others were brought.
    """
    missing: list[str] = []
    rows = Blob.objects.order_by("digest").values_list("digest", "size")
    for digest, size in rows.iterator(chunk_size=_BATCH):
        source = paths.blob(folder, digest)
        if not source.exists() or source.stat().st_size != size:
            missing.append(digest)
            continue
        if storage.current().size(digest) != size:
            _load_one(digest, source, by_link=by_link)
        yield size
    with database.atomic():
        UploadSession.objects.all().delete()
        UploadPart.objects.all().delete()
    if missing:
        raise Incomplete(f"{len(missing)} blobs are not in the backup, such as {missing[0]}")


def _load_one(digest: str, source: Path, *, by_link: bool) -> None:
    store = storage.current()
    session = uuid.uuid4()
    algorithm = digests.algorithm_of(digest)
    try:
        if by_link and isinstance(store, FilesystemStore):
            part = store.take_over(session, source, digest)
        else:
            with source.open("rb", buffering=0) as file:
                chunks = iter(lambda: file.read(CHUNK), b"")
                part = store.write(session, chunks, algorithm)
        if part.digest != digest:
            raise Incomplete(f"{digest} is damaged in the backup")
        store.commit(session, part, digest)
    finally:
        store.discard(session)
