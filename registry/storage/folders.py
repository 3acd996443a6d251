"""Folders of a store of files, and what makes their entries survive a power cut."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

_MODE = 0o750
_YOUNG = 60.0
"""Seconds: more than lie between the making of a folder and the syncing of its entry."""


def make_folder(folder: Path) -> None:
    """Make `folder` and what is above it. Nothing is synced."""
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for new in reversed(missing):
        with contextlib.suppress(FileExistsError):
            new.mkdir()
            new.chmod(_MODE)


def sync_folder(folder: Path) -> None:
    """Make the entries of `folder` durable."""
    sync(folder, os.O_RDONLY | os.O_DIRECTORY)


def sync(path: Path, flags: int = os.O_RDONLY) -> None:
    """Make what is at `path` durable."""
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DurableFolders:
    """The folders below `root`: made first, and synced once what shall be in them is there.

    So one sync of a file, whose journal carries all that was changed before, leaves little to do.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        # Of those that others are made in, which are few: their own age says nothing of them, for
        # it is that of the last change in them.
        self._durable: set[Path] = set()

    def make(self, folder: Path) -> None:
        """Make `folder` and what is above it."""
        make_folder(folder)

    def sync(self, folder: Path) -> None:
        """Make the entries of `folder` durable, and those of the folders above that lead to it.

        A folder that is young may be one that another process has made and not synced yet.
        """
        sync_folder(folder)
        is_last = True
        while folder != self._root:
            if folder not in self._durable:
                if _age(folder) < _YOUNG:
                    sync_folder(folder.parent)
                if not is_last:
                    self._durable.add(folder)
            folder, is_last = folder.parent, False


def _age(folder: Path) -> float:
    """Seconds since a folder was made or changed."""
    # A clock that was set back makes it young, which is safe.
    return time.time() - folder.stat().st_ctime
