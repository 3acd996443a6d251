"""Layers one upon another: which files an image has, and from which layer each came.

An entry hides those of the same path below; a whiteout hides a path, an opaque folder all that is
in it, and what is no folder hides the folder of the layers below, each with all that was in it. Of
each folder it is enough to know the lowest layer that can still be seen in it: its floor.
Source: OCI image specification 1.1, "Applying Changesets".
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import NamedTuple

from gitlab.container_registry.layers.entries import Entry, Kind, entry_of, key_in

Keyed = tuple[bytes, int, bytes]
"""A record with its key and the number of its layer, the lowest 0."""


class Placed(NamedTuple):
    """An entry that can be seen in the image, and the number of the layer that it came from."""

    entry: Entry
    layer: int


def in_order(layers: Iterable[Iterable[bytes]]) -> Iterator[Keyed]:
    """The sorted records of all layers, sorted."""

    def keyed(number: int, records: Iterable[bytes]) -> Iterator[Keyed]:
        return ((key_in(record), number, record) for record in records)

    return heapq.merge(*(keyed(number, records) for number, records in enumerate(layers)))


class WalkedFar(Exception):
    """There are more records than are looked at."""


def at_most(records: Iterable[Keyed], most: int) -> Iterator[Keyed]:
    """The first `most` records. Raises `WalkedFar` where there are more.

    What can be seen is no measure of a walk: a hostile image hides all that it has, many times.
    """
    for number, record in enumerate(records):
        if number >= most:
            raise WalkedFar
        yield record


class Seen:
    """What can be seen in an image, found while its records pass by in order.

    A folder must have passed before what is in it; `floors` are those that are known.
    """

    def __init__(self, floors: dict[bytes, int] | None = None) -> None:
        self.floors: dict[bytes, int] = {b"": 0} if floors is None else floors

    def pick(self, records: Iterable[Keyed]) -> Iterator[Placed]:
        """The entries that can be seen, in order. Floors of their folders are noted on the way."""
        for folder, group in groupby(records, key=lambda keyed: keyed[0].partition(b"\0")[0]):
            if folder in self.floors:
                yield from self._in_folder(folder, group)

    def _in_folder(self, folder: bytes, group: Iterable[Keyed]) -> Iterator[Placed]:
        floor = self.floors[folder]
        hidden: dict[bytes, int] = {}
        for key, same in groupby(group, key=lambda keyed: keyed[0]):
            if key[len(folder) + 1 : len(folder) + 2] == b"0":
                name = key[len(folder) + 2 :]
                highest = max(layer for _, layer, _ in same)
                if name:
                    hidden[name] = highest
                else:
                    # An opaque folder: of the layers below nothing in it is seen.
                    floor = max(floor, highest)
                continue
            name = key[len(folder) + 2 :]
            lowest = max(floor, hidden.get(name, 0))
            shown = self._topmost([each for each in same if each[1] >= lowest], lowest)
            if shown is not None:
                yield shown

    def _topmost(self, candidates: list[Keyed], lowest: int) -> Placed | None:
        """What is seen of several entries with one path, from the lowest layer up."""
        if not candidates:
            return None
        _, layer, record = candidates[-1]
        entry = entry_of(record)
        if not entry.kind.is_folder:
            return Placed(entry, layer)
        shown = Placed(entry, layer)
        for _, below, other in reversed(candidates[:-1]):
            found = entry_of(other)
            if not found.kind.is_folder:
                # A file that is a folder above: what that folder was before is hidden.
                lowest = max(lowest, below)
                break
            if shown.entry.kind is Kind.IMPLIED:
                shown = Placed(found, below)
        self.floors[entry.path] = lowest
        return shown
