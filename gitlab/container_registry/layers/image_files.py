"""The files of an image whose layers have been read: a folder at a time, or all in order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from gitlab.container_registry.layers import storing
from gitlab.container_registry.layers.entries import end_of, key_of, start_of
from gitlab.container_registry.layers.merging import (
    Keyed,
    Placed,
    Seen,
    WalkedFar,
    at_most,
    in_order,
)
from gitlab.container_registry.layers.models import ListedLayer
from gitlab.refusals import NotFound

MAX_SEARCHED = 100_000
"""Entries that a search looks at."""

MAX_WALKED = 500_000
"""Records of all layers that a page looks at, those too that cannot be seen: a second or three."""


@dataclass(frozen=True)
class FilesPage:
    """Some files. `next_after` is the key to go on after, b"" at the end; `is_cut` says that the
    walk ended before the files did.
    """

    files: Sequence[Placed]
    next_after: bytes = b""
    is_cut: bool = False


def in_folder(
    layers: Sequence[ListedLayer], folder: bytes, *, after: bytes = b"", limit: int = 100
) -> FilesPage:
    """What is in a folder, by name, after a name. Raises `NotFound` where there is no such folder.

    Costs two queries for each folder above and two, and one for each further part of a layer.
    """
    seen = Seen({folder: _floor(layers, folder)})
    ranges = [_hiding(folder), (_behind(folder, after), end_of(folder))]
    found: list[Placed] = []
    try:
        found += islice(seen.pick(_walked(layers, ranges)), limit + 1)
    except WalkedFar:
        return FilesPage(found, is_cut=True)
    more = len(found) > limit
    return FilesPage(found[:limit], found[limit - 1].entry.name if more else b"")


def _walked(layers: Sequence[ListedLayer], ranges: storing.Ranges) -> Iterator[Keyed]:
    """The records of all layers in order. Raises `WalkedFar` behind `MAX_WALKED`."""
    return at_most(in_order(storing.records_of_each(layers, ranges)), MAX_WALKED)


def search(
    layers: Sequence[ListedLayer],
    folder: bytes,
    text: bytes,
    *,
    after: bytes = b"",
    limit: int = 100,
) -> FilesPage:
    """The files at any depth below a folder whose path has `text` in it, in order, after a key.

    Raises `NotFound` where there is no such folder.
    """
    seen = Seen({folder: _floor(layers, folder)})
    ranges: storing.Ranges = [
        (start_of(folder), end_of(folder)),
        (b"%b/" % folder, b"%b0" % folder) if folder else (end_of(b""), None),
    ]
    wanted = text.lower()
    found: list[Placed] = []
    try:
        for number, placed in enumerate(seen.pick(_walked(layers, ranges))):
            if number >= MAX_SEARCHED:
                return FilesPage(found, is_cut=True)
            if placed.entry.key > after and wanted in placed.entry.path.lower():
                if len(found) == limit:
                    return FilesPage(found, found[-1].entry.key)
                found.append(placed)
    except WalkedFar:
        return FilesPage(found, is_cut=True)
    return FilesPage(found)


def _floor(layers: Sequence[ListedLayer], folder: bytes) -> int:
    """The lowest layer that is seen in a folder. Raises `NotFound` where there is none."""
    seen = Seen()
    for above, name in _way_to(folder):
        if above not in seen.floors:
            # Nothing is below what is not there, however long a path somebody asks for.
            break
        ranges = [_hiding(above), _named(above, name)]
        try:
            for _ in seen.pick(_walked(layers, ranges)):
                pass
        except WalkedFar:
            break
    if folder not in seen.floors:
        raise NotFound("no such folder")
    return seen.floors[folder]


def everything(
    layers: Sequence[ListedLayer],
    passing: Callable[[Iterable[Keyed]], Iterator[Keyed]] = iter,
) -> Iterator[Placed]:
    """All files of an image in order. Each record goes through `passing`, hidden ones too."""
    return Seen().pick(passing(in_order(storing.records_of_each(layers, [(b"", None)]))))


def _way_to(folder: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Each folder on the way with the name that leads on."""
    parts = folder.split(b"/") if folder else []
    for depth, name in enumerate(parts):
        yield b"/".join(parts[:depth]), name


def _hiding(folder: bytes) -> tuple[bytes, bytes]:
    return start_of(folder), key_of(folder, b"")


def _named(folder: bytes, name: bytes) -> tuple[bytes, bytes]:
    return key_of(folder, name), key_of(folder, name) + b"\0"


def _behind(folder: bytes, name: bytes) -> bytes:
    """The lowest key behind a name, the first of all where there is none."""
    return key_of(folder, name) + (b"\0" if name else b"")
