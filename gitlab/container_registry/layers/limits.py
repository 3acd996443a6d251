"""What reading one layer may cost, and how it ends where the layer would cost more.

A layer is a stranger's: a kilobyte of it may unpack to terabytes, name a million files or never
come to the end of a header. Whatever it does, it costs these limits and gets a sentence.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

BLOCK = 256 * 1024
"""Bytes that are unpacked at once."""


@dataclass(frozen=True)
class Limits:
    """Bytes, unless the name says otherwise.

    `ratio` is unpacked to packed, asked once `ratio_from` bytes are unpacked: what is empty packs
    well. `records` is the size of all that is remembered of the entries. `window` is how far zstd
    may look back: RFC 8878, section 3.1.1.1.2, recommends 8 MiB at least.
    """

    packed: int = 20 * 1024**3
    unpacked: int = 64 * 1024**3
    ratio: int = 300
    ratio_from: int = 64 * 1024**2
    seconds: float = 600
    entries: int = 400_000
    records: int = 40 * 1024**2
    header: int = 1024**2
    path: int = 4096
    depth: int = 256
    window: int = 32 * 1024**2
    members: int = 2_000_000


class LayerFault(Exception):
    """A layer can't be read any further. The text is a sentence for people."""


class Budget:
    """What of the limits is left for one layer."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.packed = 0
        self.unpacked = 0
        self._ends = time.monotonic() + limits.seconds

    def take_packed(self, size: int) -> None:
        """Count bytes as they came. Raises `LayerFault`."""
        self.packed += size
        if self.packed > self.limits.packed:
            raise LayerFault(f"The layer has more than {self.limits.packed:,} bytes.")
        self.go_on()

    def take_unpacked(self, size: int) -> None:
        """Count bytes that have been unpacked. Raises `LayerFault`."""
        self.unpacked += size
        if self.unpacked > self.limits.unpacked:
            raise LayerFault(f"The layer unpacks to more than {self.limits.unpacked:,} bytes.")
        allowed = max(self.limits.ratio_from, self.packed * self.limits.ratio)
        if self.unpacked > allowed:
            raise LayerFault(
                f"The layer unpacks to more than {self.limits.ratio} times what it has."
            )
        self.go_on()

    def go_on(self) -> None:
        """Raise `LayerFault` where the time is over."""
        if time.monotonic() >= self._ends:
            raise LayerFault(
                f"Reading the layer takes longer than {self.limits.seconds:g} seconds."
            )
