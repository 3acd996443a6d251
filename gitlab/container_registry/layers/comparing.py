"""Two images' files side by side: added, removed, changed; the largest first."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, NamedTuple, Self

from gitlab.container_registry.layers.entries import Entry, Kind
from gitlab.container_registry.layers.merging import Placed, WalkedFar

MAX_KEPT = 10_000
"""Differences of one kind that are kept. The rest is counted."""


class ChangeKind(StrEnum):
    """What became of a path."""

    ADDED = "added"
    REMOVED = "removed"
    CHANGED = "changed"


class Change(NamedTuple):
    """A path in which two images differ. Kinds are "" and layers 0 where there is nothing.

    `what` says in words what is other: content, mode, owner, kind, target. Layers count from 1.
    """

    path: str
    before_kind: str
    after_kind: str
    before_bytes: int
    after_bytes: int
    before_layer: int
    after_layer: int
    what: Sequence[str] = ()

    @property
    def weight(self) -> tuple[int, int]:
        """By what the largest come first: how many bytes more or less, then how many there are."""
        delta = abs(self.after_bytes - self.before_bytes)
        return delta, max(self.after_bytes, self.before_bytes)

    @classmethod
    def read(cls, stored: Sequence[Any]) -> Self:
        """From what was stored."""
        return cls(*stored)


@dataclass
class Compared:
    """How two images differ: of each kind the largest, how many in all, and with how many bytes.

    `is_cut` says that there are more entries than were looked at.
    """

    largest: dict[ChangeKind, list[Change]] = field(default_factory=dict)
    counts: dict[ChangeKind, int] = field(default_factory=dict)
    byte_counts: dict[ChangeKind, int] = field(default_factory=dict)
    is_cut: bool = False


def text_of(path: bytes) -> str:
    """A path as text; bytes that are none are written out."""
    return path.decode("utf-8", "backslashreplace")


def compare(before: Iterator[Placed], after: Iterator[Placed], *, most: int) -> Compared:
    """How the files of two images differ. Both come in order; `most` entries are looked at."""
    heaps: dict[ChangeKind, list[tuple[tuple[int, int], str, Change]]] = {
        kind: [] for kind in ChangeKind
    }
    found = Compared(counts=dict.fromkeys(ChangeKind, 0), byte_counts=dict.fromkeys(ChangeKind, 0))
    for number, pair in enumerate(_until_far(_side_by_side(before, after))):
        if number >= most or pair is None:
            found.is_cut = True
            break
        old, new = pair
        change = _change(old, new)
        if change is None:
            continue
        kind = _kind_of(old, new)
        found.counts[kind] += 1
        found.byte_counts[kind] += change.after_bytes - change.before_bytes
        ranked = (change.weight, change.path, change)
        if len(heaps[kind]) < MAX_KEPT:
            heapq.heappush(heaps[kind], ranked)
        else:
            heapq.heappushpop(heaps[kind], ranked)
    for kind, heap in heaps.items():
        # The largest first, of one size by path.
        heap.sort(key=lambda ranked: (-ranked[0][0], -ranked[0][1], ranked[1]))
        found.largest[kind] = [change for _, _, change in heap]
    return found


def _until_far(
    pairs: Iterator[tuple[Placed | None, Placed | None]],
) -> Iterator[tuple[Placed | None, Placed | None] | None]:
    """The pairs, and None at last where the walk ended before the files did."""
    try:
        yield from pairs
    except WalkedFar:
        yield None


def _side_by_side(
    before: Iterator[Placed], after: Iterator[Placed]
) -> Iterator[tuple[Placed | None, Placed | None]]:
    old, new = next(before, None), next(after, None)
    while old is not None or new is not None:
        if new is None or (old is not None and old.entry.key < new.entry.key):
            yield old, None
            old = next(before, None)
        elif old is None or new.entry.key < old.entry.key:
            yield None, new
            new = next(after, None)
        else:
            yield old, new
            old, new = next(before, None), next(after, None)


def _kind_of(old: Placed | None, new: Placed | None) -> ChangeKind:
    if old is None:
        return ChangeKind.ADDED
    return ChangeKind.REMOVED if new is None else ChangeKind.CHANGED


def _change(old: Placed | None, new: Placed | None) -> Change | None:
    """None where there is no difference to tell: a folder is told by what is in it."""
    one = old or new
    assert one is not None
    if old is None or new is None:
        if one.entry.kind.is_folder:
            return None
        what: tuple[str, ...] = ()
    else:
        what = tuple(_differences(old.entry, new.entry))
        if not what:
            return None
    return Change(
        text_of(one.entry.path),
        word_for(old.entry) if old else "",
        word_for(new.entry) if new else "",
        old.entry.size if old else 0,
        new.entry.size if new else 0,
        old.layer + 1 if old else 0,
        new.layer + 1 if new else 0,
        what,
    )


_WORDS = {
    Kind.FILE: "file",
    Kind.FOLDER: "folder",
    Kind.IMPLIED: "folder",
    Kind.SYMLINK: "link",
    Kind.HARD_LINK: "hard link",
    Kind.CHARACTER_DEVICE: "device",
    Kind.BLOCK_DEVICE: "device",
    Kind.PIPE: "pipe",
    Kind.SPARSE: "file with holes",
    Kind.OTHER: "other",
}


def word_for(entry: Entry) -> str:
    """What an entry is, in a word."""
    return _WORDS.get(entry.kind, "other")


def _differences(old: Entry, new: Entry) -> Iterator[str]:
    if word_for(old) != word_for(new):
        yield "kind"
        return
    if (old.size, old.digest) != (new.size, new.digest):
        yield "content"
    if old.target != new.target:
        yield "target"
    if Kind.IMPLIED in (old.kind, new.kind):
        return
    if old.mode != new.mode:
        yield "mode"
    if (old.uid, old.gid) != (new.uid, new.gid):
        yield "owner"
