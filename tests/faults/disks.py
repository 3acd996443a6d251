"""A disk whose content can be had as a power cut would leave it.

It is a file, ``disk``, with a file system in it, mounted by a loop device. The file lies in an
outer file system that can share blocks between files (XFS), so a copy of it is made at once and at
one instant: it holds what had reached the disk, and nothing of what was only in the kernel's
memory.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tests.e2e import components
from tests.e2e.installation import wait_until

FORMATS = {
    "ext4": ("mkfs.ext4", "-q", "-F"),
    "xfs": ("mkfs.xfs", "-q"),
    "btrfs": ("mkfs.btrfs", "-q"),
}
_OUTER, _INNER = "16G", "1G"
"""Sizes of files that are mostly holes."""

_ROOM = 4 * 1024**3
"""Bytes, more than the snapshots of the longest run need."""


def _run(*command: str | Path) -> None:
    ran = subprocess.run([str(word) for word in command], capture_output=True, text=True)
    if ran.returncode:
        raise OSError(f"{' '.join(map(str, command))}: {ran.stderr.strip()}")


def _unmount(folder: Path) -> None:
    """Raises `OSError` where somebody had files open; it is unmounted all the same."""
    try:
        _run("umount", folder)
    except OSError:
        _run("umount", "--lazy", folder)
        raise


def _unmount_outer(folder: Path) -> None:
    """Unmount what holds the file of an inner disk. The kernel lets go of that a moment after the
    inner one is unmounted, or when a program ends that began meanwhile and has its own copy of the
    table of mounts, as containers have: the outer one is then no longer to be seen here.
    """
    loops = f"losetup --noheadings --list --output BACK-FILE | grep -c {shlex.quote(str(folder))}/"
    with suppress(AssertionError):
        wait_until(
            lambda: subprocess.run(loops, shell=True, capture_output=True).returncode, timeout=10
        )
    with suppress(OSError):
        _unmount(folder)


class Disk:
    """The file system at `folder`, and the snapshots of it."""

    def __init__(self, around: Path, folder: Path) -> None:
        self.folder = folder
        self._around, self._image = around, around / "disk"
        self._mounted: Path | None = None

    def format(self, kind: str) -> None:
        """Make the file system, empty, and mount it."""
        mkfs, *options = FORMATS[kind]
        _run("truncate", "-s", _INNER, self._image)
        _run(components.find(mkfs) or mkfs, *options, self._image)
        self.mount(self._image)

    def snapshot(self, number: int) -> Path:
        """What is on the disk at one instant during this call."""
        path = self._around / f"snapshot-{number}"
        _run("cp", "--reflink=always", self._image, path)
        return path

    def mount(self, image: Path) -> None:
        """Let `folder` be the disk or a snapshot, which recovers as after a power cut."""
        assert self._mounted is None
        _run("mount", "-o", "loop", image, self.folder)
        self._mounted = image

    def unmount(self) -> None:
        """Take away what is mounted, whoever still uses it."""
        if self._mounted is not None:
            self._mounted = None
            _unmount(self.folder)

    @contextmanager
    def after_power_cut(self, snapshot: Path) -> Iterator[None]:
        """`folder` is that snapshot for a while, after which it is removed."""
        self.mount(snapshot)
        try:
            yield
        finally:
            self.unmount()
            snapshot.unlink()


def _quick_folder() -> Path | None:
    """Memory where there is enough of it: two file systems on a slow disk would wait for
    each sync.
    """
    memory = Path("/dev/shm")
    is_roomy = memory.is_dir() and shutil.disk_usage(memory).free > _ROOM
    return memory if is_roomy else None


@contextmanager
def disk(kind: str) -> Iterator[Disk]:
    """An empty disk. Skips the test where none can be made: it needs root and loop devices."""
    components.require("snapshots")
    components.require(kind)
    # With a short name, and not below pytest's folder: PostgreSQL's user must get to its socket.
    base = Path(tempfile.mkdtemp(prefix="berth-disk-", dir=_quick_folder()))
    base.chmod(0o755)
    around, folder = base / "around", base / "disk"
    around.mkdir()
    folder.mkdir()
    made = Disk(around, folder)
    with ExitStack() as leaving:
        leaving.callback(shutil.rmtree, base)
        try:
            _run("truncate", "-s", _OUTER, base / "outer")
            _run(components.find("mkfs.xfs") or "", "-q", "-m", "reflink=1", base / "outer")
            _run("mount", "-o", "loop", base / "outer", around)
            leaving.callback(_unmount_outer, around)
            leaving.callback(made.unmount)
            made.format(kind)
        except OSError as error:
            components.unavailable(f"no {kind} on a file can be mounted here ({error})")
        yield made
