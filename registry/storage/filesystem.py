"""Bytes in files.

What makes a 201 true: all of a file is synced, and so is its entry, before a row names it. Where
nothing lies at the digest's place the file is linked there first and synced then, so that one sync
carries both; over what lies there it is renamed once it is synced. Modes are set explicitly, since
a umask belongs to the one who started the process.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import errno
import os
import shutil
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO
from uuid import UUID

from registry import crash_points
from registry import digest as digests
from registry.storage import paths
from registry.storage.base import (
    CHUNK,
    Chunk,
    Part,
    StorageFull,
    StorageUnavailable,
    StoredBlob,
)
from registry.storage.digester import Digester
from registry.storage.folders import DurableFolders, make_folder, sync, sync_folder

_WRITTEN_BACK = 4 * 1024 * 1024
"""Bytes that a disk begins to write together, long before anybody waits for it."""

_FILE_MODE = 0o640
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV}
"""What filesystems say that have no hard links, or no more of them."""

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextlib.contextmanager
def _named_failures() -> Iterator[None]:
    """Turn what the operating system says into the store's own words."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        if error.errno in _FULL:
            raise StorageFull(os.strerror(error.errno or 0)) from error
        raise StorageUnavailable(os.strerror(error.errno or 0)) from error


def _create(path: Path) -> int:
    """A new file, open for writing; where that fails its folder goes, unless others are in it."""
    make_folder(path.parent)
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE_MODE)
    except OSError:
        with contextlib.suppress(OSError):
            path.parent.rmdir()
        raise


def _link_where_free(source: Path, target: Path) -> None:
    """Give `source` the name `target` too, where nothing has it and the filesystem can."""
    try:
        os.link(source, target)
    except FileExistsError:
        return
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise


def _is_same_file(one: Path, other: Path) -> bool:
    """Whether both are there, and one file."""
    try:
        return one.samefile(other)
    except FileNotFoundError:
        return False


class FilesystemStore:
    """A `BlobStore` below one folder. The folder is on one filesystem, so that renames work."""

    is_here = True

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)
        self._folders = DurableFolders(self.root)

    def write(
        self,
        session: UUID,
        chunks: Iterable[Chunk],
        algorithm: str = "sha256",
        *,
        durable: bool = True,
    ) -> Part:
        """See `BlobStore.write`."""
        name = uuid.uuid4().hex
        path = paths.part(self.root, session, name)
        size = on_its_way = 0
        with _named_failures():
            # No entry of an upload's folder has to survive: a session whose parts are lost is
            # refused at its next request, and the client starts again. Half a part must not.
            try:
                descriptor = _create(path)
            except FileNotFoundError:
                # Another request of the session has failed and taken the empty folder away.
                descriptor = _create(path)
        try:
            os.fchmod(descriptor, _FILE_MODE)
            crash_points.reached("part_created")
            with Digester(algorithm) as digester:
                for chunk in chunks:
                    digester.update(chunk)
                    with _named_failures():
                        _write_all(descriptor, chunk)
                    crash_points.reached("part_half_written")
                    size += len(chunk)
                    if size - on_its_way >= _WRITTEN_BACK:
                        _write_back(descriptor, on_its_way, size)
                        on_its_way = size
                digest = digester.digest()
            if durable:
                with _named_failures():
                    os.fsync(descriptor)
            crash_points.reached("part_synced")
        except BaseException:
            # Neither the file nor, where it was the first, its folder: both are inodes.
            with contextlib.suppress(OSError):
                path.unlink()
                path.parent.rmdir()
            raise
        finally:
            os.close(descriptor)
        return Part(name, size, f"{algorithm}:{digest.hex()}")

    def digest(self, session: UUID, parts: Iterable[Part], algorithm: str = "sha256") -> str:
        """See `BlobStore.digest`."""
        return digests.of_chunks(self._content(session, parts), algorithm)

    def join(self, session: UUID, parts: Iterable[Part], algorithm: str = "sha256") -> Part:
        """See `BlobStore.join`."""
        return self.write(session, self._content(session, parts), algorithm, durable=False)

    def _content(self, session: UUID, parts: Iterable[Part]) -> Iterator[Chunk]:
        place, other = memoryview(bytearray(CHUNK)), memoryview(bytearray(CHUNK))
        for part in parts:
            with (
                _named_failures(),
                paths.part(self.root, session, part.name).open("rb", buffering=0) as file,
            ):
                while count := file.readinto(place):
                    yield place[:count]
                    # Not where nothing was read: the one before may still be looked at.
                    place, other = other, place

    def take_over(self, session: UUID, source: Path, digest: str) -> Part:
        """A part that is a hard link to `source`, whose bytes the caller knows to be `digest`.

        Raises `StorageUnavailable` where that is on another filesystem.
        """
        name = uuid.uuid4().hex
        path = paths.part(self.root, session, name)
        with _named_failures():
            make_folder(path.parent)
            os.link(source, path)
            # The process that wrote it may not have made it durable.
            descriptor = os.open(path, os.O_RDONLY)
            try:
                os.fsync(descriptor)
                size = os.fstat(descriptor).st_size
            finally:
                os.close(descriptor)
        return Part(name, size, digest)

    def stage(self, session: UUID, part: Part, digest: str) -> None:
        """See `BlobStore.stage`. Over what lies there nothing goes yet: that is for the commit."""
        source, target = paths.part(self.root, session, part.name), paths.blob(self.root, digest)
        with _named_failures():
            self._folders.make(target.parent)
            # Young from here on, whenever its bytes came: no row knows it for a moment. A file that
            # has another name too is not ours alone: see `take_over`.
            if source.stat().st_nlink == 1:
                os.utime(source)
            _link_where_free(source, target)
            crash_points.reached("blob_linked")
            sync(source)
            self._folders.sync(target.parent)

    def commit(self, session: UUID, part: Part, digest: str, *, staged: bool = False) -> None:
        """See `BlobStore.commit`."""
        source, target = paths.part(self.root, session, part.name), paths.blob(self.root, digest)
        with _named_failures():
            if not (staged and _is_same_file(source, target)):
                self._rename(source, target)
        crash_points.reached("blob_in_place")

    def _rename(self, source: Path, target: Path) -> None:
        """Over whatever lies there, the bytes before their new name."""
        self._folders.make(target.parent)
        try:
            sync(source)
            source.replace(target)
        except FileNotFoundError:
            if not target.exists():
                raise
        crash_points.reached("blob_renamed")
        self._folders.sync(target.parent)

    def discard(self, session: UUID, part: Part | None = None) -> None:
        """See `BlobStore.discard`."""
        with _named_failures():
            if part is not None:
                path = paths.part(self.root, session, part.name)
                path.unlink(missing_ok=True)
                with contextlib.suppress(OSError):
                    path.parent.rmdir()  # Where it was the last one.
                return
            # The folder above stays: somebody may be about to make another one in it.
            shutil.rmtree(paths.upload(self.root, session), ignore_errors=True)

    def size(self, digest: str) -> int | None:
        """See `BlobStore.size`."""
        try:
            with _named_failures():
                return paths.blob(self.root, digest).stat().st_size
        except FileNotFoundError:
            return None

    def sizes(self, digests: Collection[str]) -> dict[str, int | None]:
        """See `BlobStore.sizes`."""
        return {digest: self.size(digest) for digest in digests}

    def open(self, digest: str, start: int = 0) -> BinaryIO:
        """See `BlobStore.open`."""
        with _named_failures():
            file = paths.blob(self.root, digest).open("rb", buffering=0)
            file.seek(start)
            return file

    def address(self, digest: str, seconds: int) -> str | None:
        """See `BlobStore.address`. There is none."""
        return None

    def delete(self, digest: str) -> bool:
        """See `BlobStore.delete`."""
        path = paths.blob(self.root, digest)
        try:
            with _named_failures():
                path.unlink()
        except FileNotFoundError:
            return False
        # Not synced: a file that a power cut brings back is one that no row knows, and is swept.
        return True

    def blobs(self, start: str = "") -> Iterator[StoredBlob]:
        """See `BlobStore.blobs`."""
        root = paths.blobs(self.root)
        for top in root.glob(f"*/{start}") if start else [root]:
            for folder, _, names in os.walk(top):
                algorithm = Path(folder).parent.parent.name
                for name in names:
                    digest = f"{algorithm}:{name}"
                    found = self.status(digest) if digests.is_digest(digest) else None
                    if found is not None:
                        yield found

    def status(self, digest: str) -> StoredBlob | None:
        """See `BlobStore.status`."""
        try:
            with _named_failures():
                status = paths.blob(self.root, digest).stat()
        except FileNotFoundError:
            return None
        modified = dt.datetime.fromtimestamp(status.st_mtime, dt.UTC)
        return StoredBlob(digest, status.st_size, modified)

    def quarantine(self, found: StoredBlob) -> bool:
        """See `BlobStore.quarantine`."""
        moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S.%f")
        source = paths.blob(self.root, found.digest)
        target = paths.quarantined(self.root, found.digest, moment)
        if self.status(found.digest) != found:
            return False
        with _named_failures():
            self._folders.make(target.parent)
            source.rename(target)
            self._folders.sync(target.parent)
            sync_folder(source.parent)
        return True

    def sweep(self, before: dt.datetime, is_live: Callable[[UUID], bool]) -> int:
        """See `BlobStore.sweep`."""
        count = 0
        with _named_failures():
            for folder in paths.uploads(self.root).glob("*/*"):
                with contextlib.suppress(FileNotFoundError, ValueError):
                    since = dt.datetime.fromtimestamp(folder.stat().st_mtime, dt.UTC)
                    if since < before and not is_live(UUID(folder.name)):
                        shutil.rmtree(folder)
                        count += 1
        return count

    def check(self) -> None:
        """See `BlobStore.check`."""
        path = paths.health(self.root) / uuid.uuid4().hex
        with _named_failures():
            make_folder(path.parent)
            try:
                with path.open("wb") as file:
                    file.write(path.name.encode())
                    file.flush()
                    os.fsync(file.fileno())
                if path.read_text() != path.name:
                    raise StorageUnavailable("what was written is not what is read")
            finally:
                path.unlink(missing_ok=True)


def _write_back(descriptor: int, start: int, end: int) -> None:
    """Have the disk begin with these bytes while others come, so that the sync finds few left.

    Linux does so for pages that are said to be of no more use; those that are not clean stay.
    """
    # An advice: where it can't be given, the sync has more to do.
    with contextlib.suppress(AttributeError, OSError):
        os.posix_fadvise(descriptor, start, end - start, os.POSIX_FADV_DONTNEED)


def _write_all(descriptor: int, chunk: Chunk) -> None:
    """Write all of `chunk`: the operating system may take less at a time."""
    view = memoryview(chunk)
    while view:
        view = view[os.write(descriptor, view) :]
