"""A layer's bytes, unpacked as they come: gzip, zstd or neither, by what they begin with.

The media type is not believed: clients look at the first bytes as well. Sources: RFC 1952 (gzip,
of several members), RFC 8878 (zstd, of several frames), OCI image specification 1.1, "Layers".
"""

from __future__ import annotations

import zlib as _slow
from collections.abc import Iterator
from typing import IO, Any, cast

import zstandard

from gitlab.container_registry.layers.limits import BLOCK, Budget, LayerFault

_deflate: Any
try:
    # The same at twice the speed, where there is a build of it.
    from isal import isal_zlib as _deflate
except ImportError:
    _deflate = _slow

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_SKIPPABLE = tuple(bytes([0x50 + n, 0x2A, 0x4D, 0x18]) for n in range(16))
_GZIP_OPTIONS = 16 + 15
_FED = 16 * 1024
"""Bytes that are given to a member of gzip at once. What is behind its end is copied, and a hostile
layer has a member each twenty bytes."""


def unpacked(chunks: Iterator[bytes], budget: Budget) -> Iterator[bytes]:
    """Parts of at most `BLOCK` bytes. Raises `LayerFault`; what `chunks` raises goes through."""
    source = _Source(chunks, budget)
    start = source.peek(4)
    if start.startswith(_GZIP):
        return _gunzip(source, budget)
    if start.startswith((_ZSTD, *_SKIPPABLE)):
        return _unzstd(source, budget)
    return _plain(source, budget)


class _Source:
    """The packed bytes, counted."""

    def __init__(self, chunks: Iterator[bytes], budget: Budget) -> None:
        self._chunks = chunks
        self._budget = budget
        self._kept = b""

    def peek(self, size: int) -> bytes:
        """The first bytes, which the next read has too."""
        while len(self._kept) < size and (chunk := self._next()):
            self._kept += chunk
        return self._kept[:size]

    def read(self, size: int) -> bytes:
        """Some bytes, `size` at most, b"" at the end. zstd reads by this."""
        chunk = self._kept or self._next()
        self._kept = chunk[size:]
        return chunk[:size]

    def _next(self) -> bytes:
        for chunk in self._chunks:
            self._budget.take_packed(len(chunk))
            if chunk:
                return chunk
        return b""


def _plain(source: _Source, budget: Budget) -> Iterator[bytes]:
    while block := source.read(BLOCK):
        budget.take_unpacked(len(block))
        yield block


def _unzstd(source: _Source, budget: Budget) -> Iterator[bytes]:
    engine = zstandard.ZstdDecompressor(max_window_size=budget.limits.window)
    # A reader, since the other ways unpack whatever a packed block makes of itself.
    reader = engine.stream_reader(
        cast("IO[bytes]", source), read_size=_FED, read_across_frames=True
    )
    while True:
        try:
            block = reader.read(BLOCK)
        except zstandard.ZstdError as error:
            raise LayerFault(f"The layer is no zstd that can be read: {error}.") from error
        if not block:
            return
        budget.take_unpacked(len(block))
        yield block


def _gunzip(source: _Source, budget: Budget) -> Iterator[bytes]:
    members, data = 0, source.read(_FED)
    while data:
        members += 1
        if members > budget.limits.members:
            raise LayerFault(f"The layer has more than {budget.limits.members:,} gzip members.")
        member = _deflate.decompressobj(wbits=_GZIP_OPTIONS)
        while not member.eof:
            block = _inflate(member, data)
            if block:
                budget.take_unpacked(len(block))
                yield block
            data = member.unconsumed_tail
            # Of a full block there may be more without another byte of input.
            if not member.eof and not data and len(block) < BLOCK:
                data = source.read(_FED)
                if not data:
                    raise LayerFault("The layer ends in the midst of its gzip data.")
        data = _behind(member.unused_data or source.read(_FED), source)


def _inflate(member: Any, data: bytes) -> bytes:
    try:
        return bytes(member.decompress(data, BLOCK))
    except (_deflate.error, _slow.error, EOFError) as error:
        raise LayerFault(f"The layer is no gzip that can be read: {error}.") from error


def _behind(data: bytes, source: _Source) -> bytes:
    """What follows a member: another one, b"" where there is none. Zeros are padding."""
    while data and not data.startswith(_GZIP[:1]):
        if data.strip(b"\0"):
            raise LayerFault("The layer goes on behind its gzip data with what is none.")
        data = source.read(_FED)
    return data
