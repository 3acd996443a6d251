"""The filesystem store: the contract, and what is its own: order, modes, full disks."""

from __future__ import annotations

import errno
import os
import stat
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from registry.storage import filesystem, folders, paths
from registry.storage.base import BlobStore, StorageFull, StorageUnavailable
from registry.storage.filesystem import FilesystemStore
from tests.contracts.blob_store import BlobStoreContract, digest_of, put, read

pytestmark = pytest.mark.engineless


@pytest.fixture
def store(tmp_path: Path) -> FilesystemStore:
    """A store in a folder that isn't there yet."""
    return FilesystemStore(tmp_path / "store")


def parts(store: BlobStore) -> list[Path]:
    """The files of uploads."""
    assert isinstance(store, FilesystemStore)
    return [path for path in (store.root / "uploads").rglob("*") if path.is_file()]


class TestFilesystemStore(BlobStoreContract):
    """The contract."""

    def parts_left(self, store: BlobStore) -> int:
        """See `BlobStoreContract`."""
        return len(parts(store))


# The order that makes a 201 true


class Tracer:
    """Notes what is synced and renamed, in order, by names."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steps: list[tuple[str, str]] = []
        fsync, replace, write = os.fsync, os.replace, os.write

        def name(descriptor: int) -> str:
            return str(Path(f"/proc/self/fd/{descriptor}").readlink())

        def traced_fsync(descriptor: int) -> None:
            self.steps.append(("fsync", name(descriptor)))
            fsync(descriptor)

        def traced_write(descriptor: int, data: bytes) -> int:
            self.steps.append(("write", name(descriptor)))
            return write(descriptor, data)

        def traced_replace(source: Any, target: Any, **options: Any) -> None:
            self.steps.append(("rename", str(target)))
            replace(source, target, **options)

        monkeypatch.setattr(os, "fsync", traced_fsync)
        monkeypatch.setattr(os, "write", traced_write)
        monkeypatch.setattr(os, "replace", traced_replace)

    def index(self, step: str, path: Path) -> int:
        """Where a step stands for the last time."""
        found = [number for number, each in enumerate(self.steps) if each == (step, str(path))]
        assert found, (step, path, self.steps)
        return found[-1]


def test_bytes_are_durable_before_they_have_a_name(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracer = Tracer(monkeypatch)
    session = uuid.uuid4()
    part = store.write(session, [b"hello", b"world"])
    (temporary,) = parts(store)
    assert tracer.index("write", temporary) < tracer.index("fsync", temporary)
    store.commit(session, part, part.digest)
    encoded = part.digest.partition(":")[2]
    target = store.root / "blobs" / "sha256" / encoded[:2] / encoded[2:4] / encoded
    renamed = tracer.index("rename", target)
    assert tracer.index("fsync", temporary) < renamed < tracer.index("fsync", target.parent)
    # The folders that were made are durable in those above them.
    folder = target.parent
    while folder != store.root:
        folder = folder.parent
        assert ("fsync", str(folder)) in tracer.steps


def test_one_sync_carries_the_bytes_and_their_new_name(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Staged, all of it is durable; the commit has nothing left to do."""
    tracer = Tracer(monkeypatch)
    session = uuid.uuid4()
    part = store.write(session, [b"hello"], durable=False)
    (temporary,) = parts(store)
    assert not [step for step, _ in tracer.steps if step == "fsync"]
    store.stage(session, part, part.digest)
    target = paths.blob(store.root, part.digest)
    assert tracer.index("fsync", temporary) < tracer.index("fsync", target.parent)
    for folder in list(target.parent.parents)[:4]:
        assert ("fsync", str(folder)) in tracer.steps
    before = list(tracer.steps)
    store.commit(session, part, part.digest, staged=True)
    assert tracer.steps == before
    store.discard(session)
    assert read(store, part.digest) == b"hello"


def test_what_is_staged_is_young(store: FilesystemStore) -> None:
    """Whoever looks for bytes that no row knows leaves it alone, however old the upload is."""
    session = uuid.uuid4()
    part = store.write(session, [b"hello"])
    os.utime(parts(store)[0], (0, 0))
    store.stage(session, part, part.digest)
    found = store.status(part.digest)
    assert found is not None
    assert found.modified_at.timestamp() > time.time() - 60


def test_staging_replaces_nothing_that_lies_there(store: FilesystemStore) -> None:
    """What lies there may be a blob that a row names; new bytes are synced before they replace."""
    digest = put(store, b"hello")
    target = paths.blob(store.root, digest)
    target.write_bytes(b"other")
    session = uuid.uuid4()
    part = store.write(session, [b"hello"], durable=False)
    store.stage(session, part, digest)
    assert target.read_bytes() == b"other"
    store.commit(session, part, digest, staged=True)
    assert target.read_bytes() == b"hello"


@pytest.mark.parametrize("number", sorted(filesystem._NO_LINKS))
def test_a_filesystem_without_hard_links_will_do(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    def link(source: Any, target: Any) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(os, "link", link)
    session = uuid.uuid4()
    part = store.write(session, [b"hello"], durable=False)
    tracer = Tracer(monkeypatch)
    store.stage(session, part, part.digest)
    assert store.size(part.digest) is None
    store.commit(session, part, part.digest, staged=True)
    target = paths.blob(store.root, part.digest)
    assert tracer.index("rename", target) < tracer.index("fsync", target.parent)
    assert read(store, part.digest) == b"hello"


def test_a_folder_that_somebody_has_just_made_is_made_durable_too(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another upload may have made it and not synced it yet; one that is old is as it should be."""
    session = uuid.uuid4()
    part = store.write(session, [b"hello"])
    encoded = part.digest.partition(":")[2]
    target = store.root / "blobs" / "sha256" / encoded[:2] / encoded[2:4] / encoded
    target.parent.mkdir(parents=True, exist_ok=True)
    tracer = Tracer(monkeypatch)
    store.commit(session, part, part.digest)
    assert ("fsync", str(target.parent.parent)) in tracer.steps
    assert ("fsync", str(store.root)) in tracer.steps

    later = time.time() + 3600
    monkeypatch.setattr(folders.time, "time", lambda: later)
    part = store.write(session, [b"hello"])
    tracer = Tracer(monkeypatch)
    store.commit(session, part, part.digest)
    assert ("fsync", str(target.parent)) in tracer.steps
    assert ("fsync", str(target.parent.parent)) not in tracer.steps


def test_a_deletion_waits_for_no_disk(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a power cut brings back is a file that no row knows: the slow round sweeps those."""
    digest = put(store, b"hello")
    tracer = Tracer(monkeypatch)
    store.delete(digest)
    assert tracer.steps == []
    assert store.size(digest) is None


# Modes, whatever the umask


@pytest.fixture(params=[0o000, 0o022, 0o077])
def umask(request: pytest.FixtureRequest) -> Iterator[int]:
    """Whoever starts the process may have any."""
    before = os.umask(request.param)
    yield request.param
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_modes_are_set(store: FilesystemStore) -> None:
    put(store, b"hello")
    store.write(uuid.uuid4(), [b"part"])
    store.check()
    for path in store.root.rglob("*"):
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o750 if path.is_dir() else 0o640), (path, oct(mode))


# What the operating system refuses


def fail_at(
    monkeypatch: pytest.MonkeyPatch, name: str, number: int, when: Callable[[Any], bool]
) -> None:
    """Let ``os.<name>`` fail with an errno where `when` says so of its first argument."""
    real = getattr(os, name)

    def failing(first: Any, *rest: Any, **options: Any) -> Any:
        if when(first):
            raise OSError(number, os.strerror(number))
        return real(first, *rest, **options)

    monkeypatch.setattr(os, name, failing)


def is_folder(descriptor: int) -> bool:
    """Whether a descriptor is a folder's."""
    return stat.S_ISDIR(os.fstat(descriptor).st_mode)


def always(first: Any) -> bool:
    """Fail in any case."""
    return True


FULL = [errno.ENOSPC, errno.EDQUOT, errno.EFBIG]
FAULTS = [*FULL, errno.EIO, errno.EROFS, errno.EACCES, errno.EMFILE]


@pytest.mark.parametrize("number", FAULTS)
@pytest.mark.parametrize(
    ("function", "when"),
    [
        ("write", always),
        ("fsync", lambda descriptor: not is_folder(descriptor)),
        ("open", lambda path: True),
        ("mkdir", always),
    ],
)
def test_a_write_that_fails_leaves_nothing(
    store: FilesystemStore,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    function: str,
    when: Callable[[Any], bool],
) -> None:
    with monkeypatch.context() as patch:
        fail_at(patch, function, number, when)
        with pytest.raises(StorageFull if number in FULL else StorageUnavailable):
            store.write(uuid.uuid4(), [b"hello"])
    assert parts(store) == []
    assert put(store, b"hello")


@pytest.mark.parametrize("number", FAULTS)
@pytest.mark.parametrize(
    ("function", "when"), [("replace", always), ("fsync", is_folder), ("mkdir", always)]
)
def test_a_commit_that_fails_can_be_repeated(
    store: FilesystemStore,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    function: str,
    when: Callable[[Any], bool],
) -> None:
    session = uuid.uuid4()
    part = store.write(session, [b"hello"])
    with monkeypatch.context() as patch:
        fail_at(patch, function, number, when)
        with pytest.raises(StorageFull if number in FULL else StorageUnavailable):
            store.commit(session, part, part.digest)
    store.commit(session, part, part.digest)
    assert read(store, part.digest) == b"hello"


@pytest.mark.parametrize("number", [*FULL, errno.EIO, errno.EROFS, errno.EACCES])
@pytest.mark.parametrize(
    ("function", "when"), [("link", always), ("fsync", always), ("mkdir", always)]
)
def test_a_stage_that_fails_can_be_repeated(
    store: FilesystemStore,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    function: str,
    when: Callable[[Any], bool],
) -> None:
    session = uuid.uuid4()
    part = store.write(session, [b"hello"])
    with monkeypatch.context() as patch:
        fail_at(patch, function, number, when)
        with pytest.raises(StorageFull if number in FULL else StorageUnavailable):
            store.stage(session, part, part.digest)
    store.stage(session, part, part.digest)
    store.commit(session, part, part.digest, staged=True)
    assert read(store, part.digest) == b"hello"


def test_a_disk_that_fills_up_in_the_middle_leaves_nothing(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.write
    written = [0]

    def write(descriptor: int, data: bytes) -> int:
        if written[0] >= 100_000:
            raise OSError(errno.ENOSPC, "no space")
        count = real(descriptor, data[:40_000])
        written[0] += count
        return count

    monkeypatch.setattr(os, "write", write)
    with pytest.raises(StorageFull):
        store.write(uuid.uuid4(), [bytes(200_000)])
    assert parts(store) == []


def test_short_writes_are_continued(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The operating system may take less than it is given."""
    real = os.write
    body = os.urandom(50_000)
    monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7_001]))
    digest = put(store, body)
    assert digest == digest_of(body)
    assert read(store, digest) == body


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES])
def test_reading_that_fails_is_unavailable(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    digest = put(store, b"hello")
    fail_at(monkeypatch, "stat", number, lambda path: "blobs" in str(path))
    with pytest.raises(StorageUnavailable):
        store.size(digest)


@pytest.mark.parametrize("number", [errno.EIO, errno.EROFS, errno.ENOSPC])
def test_the_check_finds_a_store_that_can_not_be_written(
    store: FilesystemStore, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    store.check()
    fail_at(monkeypatch, "fsync", number, always)
    with pytest.raises((StorageFull, StorageUnavailable)):
        store.check()
    monkeypatch.undo()
    assert not list((store.root / "health").iterdir())


def test_what_is_no_blob_is_not_listed(store: FilesystemStore) -> None:
    put(store, b"hello")
    (store.root / "blobs" / "sha256" / "README").write_text("x")
    (store.root / "blobs" / "stray").mkdir()
    (store.root / "blobs" / "stray" / "file").write_text("x")
    assert len(list(store.blobs())) == 1
