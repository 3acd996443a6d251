"""One entry of a layer, and the compact form in which thousands of them are kept.

A record sorts by the folder, then by the name, so that a folder's entries stand together, what
hides others before those, and a folder before what is in it:

    folder NUL rank(1) name NUL number(4) kind(1) mode(2) uid(4) gid(4) modified(8) size(8)
    digest(16) target

The number is the entry's place in its layer: of two with one path the later one counts.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

_FIXED = struct.Struct(">IBHIIqQ16s")
_LENGTH = struct.Struct(">I")

_HIDING, _SHOWN = b"0", b"1"

NO_DIGEST = bytes(16)


class Kind(IntEnum):
    """What an entry is. A whiteout hides one name of the layers below, `OPAQUE` all of a folder's;
    `IMPLIED` is a folder that no entry is about and that another one is in.
    """

    FILE = 1
    FOLDER = 2
    SYMLINK = 3
    HARD_LINK = 4
    CHARACTER_DEVICE = 5
    BLOCK_DEVICE = 6
    PIPE = 7
    SPARSE = 8
    OTHER = 9
    WHITEOUT = 10
    OPAQUE = 11
    IMPLIED = 12

    @property
    def is_folder(self) -> bool:
        """Whether there may be something in it."""
        return self in (Kind.FOLDER, Kind.IMPLIED)

    @property
    def hides(self) -> bool:
        """Whether it is there to hide what the layers below have."""
        return self in (Kind.WHITEOUT, Kind.OPAQUE)

    @property
    def has_content(self) -> bool:
        """Whether it has bytes of its own."""
        return self in (Kind.FILE, Kind.SPARSE, Kind.OTHER)


class Entry(NamedTuple):
    """One entry. `folder` is without a slash at either end, b"" for the root.

    `digest` is the first half of a SHA-256 of its content and of its extended attributes, so that
    two of the same size can be told apart. `target` is where a link leads, or a device's numbers.
    """

    folder: bytes
    name: bytes
    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    modified: int = 0
    size: int = 0
    digest: bytes = NO_DIGEST
    target: bytes = b""

    @property
    def path(self) -> bytes:
        """The whole of it, without a slash at its beginning."""
        return b"%b/%b" % (self.folder, self.name) if self.folder else self.name

    @property
    def key(self) -> bytes:
        """By what it is sorted."""
        return key_of(self.folder, self.name, hides=self.kind.hides)


def key_of(folder: bytes, name: bytes, *, hides: bool = False) -> bytes:
    """Where an entry stands among the sorted ones."""
    return b"%b\0%c%b" % (folder, _HIDING if hides else _SHOWN, name)


def start_of(folder: bytes) -> bytes:
    """What stands before all that is in a folder, and behind all of those before it."""
    return b"%b\0" % folder


def end_of(folder: bytes) -> bytes:
    """What stands behind all that is in a folder."""
    return b"%b\1" % folder


def record_of(entry: Entry, number: int) -> bytes:
    """An entry in the form in which it is kept."""
    fixed = _FIXED.pack(
        number,
        entry.kind,
        entry.mode & 0xFFFF,
        entry.uid & 0xFFFFFFFF,
        entry.gid & 0xFFFFFFFF,
        min(max(entry.modified, -(2**63)), 2**63 - 1),
        min(max(entry.size, 0), 2**63 - 1),
        entry.digest,
    )
    return b"%b\0%b%b" % (entry.key, fixed, entry.target)


def entry_of(record: bytes) -> Entry:
    """The entry of a record that we have written."""
    folder, name, rest = record.split(b"\0", 2)
    _, kind, mode, uid, gid, modified, size, digest = _FIXED.unpack_from(rest)
    target = rest[_FIXED.size :]
    return Entry(folder, name[1:], Kind(kind), mode, uid, gid, modified, size, digest, target)


def key_in(record: bytes) -> bytes:
    """Where a record stands, without reading the rest of it."""
    return record[: record.index(b"\0", record.index(b"\0") + 1)]


def without_earlier(records: Iterable[bytes]) -> Iterator[bytes]:
    """Sorted records, of those with one path the last."""
    kept, kept_key = b"", None
    for record in records:
        key = key_in(record)
        if kept_key is not None and key != kept_key:
            yield kept
        kept, kept_key = record, key
    if kept_key is not None:
        yield kept


def joined(records: Iterable[bytes]) -> bytes:
    """Records one behind another, each behind its length."""
    return b"".join(part for each in records for part in (_LENGTH.pack(len(each)), each))


def split(joined_records: bytes) -> Iterator[bytes]:
    """The records of `joined`."""
    at = 0
    while at < len(joined_records):
        (length,) = _LENGTH.unpack_from(joined_records, at)
        at += _LENGTH.size
        yield joined_records[at : at + length]
        at += length
