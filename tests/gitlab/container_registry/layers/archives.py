"""Layers as tests want them: plain, packed, and such as nobody should ever have made."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import zstandard

from gitlab.container_registry.layers.entries import Entry, entry_of
from gitlab.container_registry.layers.limits import Limits
from gitlab.container_registry.layers.reading import LayerContents, read_layer

END = bytes(1024)


def digest_of(payload: bytes) -> str:
    return f"sha256:{hashlib.sha256(payload).hexdigest()}"


def member(name: str, content: bytes = b"", **more: Any) -> tuple[tarfile.TarInfo, bytes]:
    """A member of an archive; `more` are fields of `tarfile.TarInfo`."""
    info = tarfile.TarInfo(name)
    info.size = len(content)
    for field, value in more.items():
        setattr(info, field, value)
    return info, content


def folder(name: str, **more: Any) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.DIRTYPE, **{"mode": 0o755, **more})


def link(name: str, target: str, **more: Any) -> tuple[tarfile.TarInfo, bytes]:
    return member(name, type=tarfile.SYMTYPE, linkname=target, **more)


def archive(
    *members: tuple[tarfile.TarInfo, bytes], form: int = tarfile.PAX_FORMAT, end: bytes = END
) -> bytes:
    """A plain archive, byte for byte the same each time."""
    found = io.BytesIO()
    for info, content in members:
        found.write(info.tobuf(form, "utf-8", "surrogateescape"))
        found.write(content + bytes(-len(content) % 512))
    return found.getvalue() + end


def of_files(files: Mapping[str, bytes]) -> bytes:
    return archive(*(member(name, content) for name, content in files.items()))


def gzipped(payload: bytes) -> bytes:
    return gzip.compress(payload, mtime=0)


def zstd(payload: bytes, **options: Any) -> bytes:
    return zstandard.ZstdCompressor(**options).compress(payload)


def in_chunks(payload: bytes, size: int = 1000) -> Iterator[bytes]:
    return (payload[at : at + size] for at in range(0, len(payload), size))


def read(payload: bytes, *, chunk: int = 1000, **limits: Any) -> LayerContents:
    return read_layer(in_chunks(payload, chunk), digest_of(payload), Limits(**limits))


def entries(found: LayerContents | Iterable[bytes]) -> list[Entry]:
    records = found.records if isinstance(found, LayerContents) else found
    return [entry_of(record) for record in records]


def by_path(found: LayerContents) -> dict[str, Entry]:
    return {entry.path.decode("utf-8", "surrogateescape"): entry for entry in entries(found)}
