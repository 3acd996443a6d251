"""From the bytes of a layer to what is in it, within limits, without a file anywhere.

    bytes by digest ─► unpacking ─► tar ─► entries in their place ─► sorted records

What can't be placed (a path that leads out of the image, names too long for a file system) is
counted and told; what ends the reading is told as well, and what was read till there is kept, if
the bytes were those of the digest.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from gitlab.container_registry.layers import tar
from gitlab.container_registry.layers.entries import (
    NO_DIGEST,
    Entry,
    Kind,
    record_of,
    without_earlier,
)
from gitlab.container_registry.layers.limits import Budget, LayerFault, Limits
from gitlab.container_registry.layers.unpacking import unpacked

_WHITEOUT = b".wh."
_OPAQUE = b".wh..wh..opq"
_OWN = b".wh..wh."
"""What else begins so belongs to AUFS itself. Source: OCI image specification 1.1, "Whiteouts"."""

_KINDS = {
    b"1": Kind.HARD_LINK,
    b"2": Kind.SYMLINK,
    b"3": Kind.CHARACTER_DEVICE,
    b"4": Kind.BLOCK_DEVICE,
    b"5": Kind.FOLDER,
    b"6": Kind.PIPE,
    b"S": Kind.SPARSE,
    b"0": Kind.FILE,
    b"\0": Kind.FILE,
    b"7": Kind.FILE,
}
_HAVE_TARGET = (Kind.SYMLINK, Kind.HARD_LINK)
_DEVICES = (Kind.CHARACTER_DEVICE, Kind.BLOCK_DEVICE)
_WORDS = {
    "outside": "an entry whose path leads out of the image|entries whose paths lead out of the"
    " image",
    "long": "an entry whose path is too long for a file system|entries whose paths are too long"
    " for a file system",
    "nameless": "an entry without a name|entries without a name",
}


class WrongBytes(Exception):
    """The bytes are not those that the digest names."""


@dataclass(frozen=True)
class LayerContents:
    """What is in a layer.

    `records` are sorted, a path once. `fault` is a sentence where the layer could not be read to
    its end, "" else; `left_out` says in words what could not be placed.
    """

    records: list[bytes]
    packed_bytes: int
    unpacked_bytes: int
    fault: str = ""
    left_out: str = ""


def read_layer(chunks: Iterator[bytes], digest: str, limits: Limits | None = None) -> LayerContents:
    """What is in a layer whose bytes come as `chunks`, which are read to their end.

    Raises `WrongBytes`, and what `chunks` raises.
    """
    budget = Budget(limits or Limits())
    checked = _Checked(chunks, digest)
    found = _Placing(budget.limits)
    fault = ""
    try:
        for member in tar.members(unpacked(iter(checked), budget), budget):
            found.place(member)
    except LayerFault as error:
        fault = str(error)
    try:
        checked.finish(budget)
    except LayerFault as error:
        raise WrongBytes(str(error)) from error
    return LayerContents(
        list(without_earlier(sorted(found.records))),
        checked.size,
        budget.unpacked,
        fault,
        found.left_out(),
    )


class _Checked:
    """Bytes that pass by, and the digest that they have in the end."""

    def __init__(self, chunks: Iterator[bytes], digest: str) -> None:
        self._chunks = chunks
        algorithm, _, self._expected = digest.partition(":")
        if algorithm not in ("sha256", "sha512"):
            raise WrongBytes(f"There is no way to check a digest by {algorithm[:32]}.")
        self._hash = hashlib.new(algorithm)
        self.size = 0

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._hash.update(chunk)
            self.size += len(chunk)
            yield chunk

    def finish(self, budget: Budget) -> None:
        """Read what is left, and compare. Raises `WrongBytes`, `LayerFault` over the limits."""
        for chunk in self:
            budget.take_packed(len(chunk))
        if self._hash.hexdigest() != self._expected:
            raise WrongBytes("The registry sent other bytes than the digest names.")


class _Placing:
    """Members in their place in the image."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self.records: list[bytes] = []
        self._left_out: Counter[str] = Counter()
        self._folders: set[bytes] = {b""}
        self._bytes = 0
        self._members = 0

    def place(self, member: tar.Member) -> None:
        """Take a member in. Raises `LayerFault` where there are too many."""
        self._members += 1
        if self._members > self._limits.entries:
            # Those too that are left out: each costs the time of one that is not.
            raise LayerFault(f"The layer has more than {self._limits.entries:,} entries.")
        parts, why_not = _parts(member.name, self._limits)
        if why_not:
            self._left_out[why_not] += 1
            return
        kind = _KINDS.get(member.type, Kind.OTHER)
        if not parts:
            # The root itself; what it is like is no file's business.
            return
        if kind is Kind.FILE and member.is_sparse:
            kind = Kind.SPARSE
        folder, name = b"/".join(parts[:-1]), parts[-1]
        self._imply(parts[:-1])
        entry = _entry(folder, name, kind, member)
        if entry is None:
            return
        if kind is Kind.FOLDER:
            self._folders.add(entry.path)
        self._add(entry)

    def _imply(self, parts: list[bytes]) -> None:
        """Folders that no entry has been about. Where one still comes, it counts."""
        folder = b"/".join(parts)
        while folder not in self._folders:
            self._folders.add(folder)
            above, _, name = folder.rpartition(b"/")
            self._add(Entry(above, name, Kind.IMPLIED), number=0)
            folder = above

    def _add(self, entry: Entry, number: int | None = None) -> None:
        place = len(self.records) + 1 if number is None else number
        record = record_of(entry, place)
        self._bytes += len(record)
        if len(self.records) >= self._limits.entries:
            raise LayerFault(f"The layer has more than {self._limits.entries:,} entries.")
        if self._bytes > self._limits.records:
            raise LayerFault(f"The layer's names have more than {self._limits.records:,} bytes.")
        self.records.append(record)

    def left_out(self) -> str:
        """In words, what could not be placed; "" where all could."""
        said = []
        for why, count in sorted(self._left_out.items()):
            one, _, several = _WORDS[why].partition("|")
            said.append(one if count == 1 else f"{count:,} {several}")
        return f"Left out: {', '.join(said)}." if said else ""


def _parts(name: bytes, limits: Limits) -> tuple[list[bytes], str]:
    """The parts of a path within the image, and why there are none: a word of `_WORDS`."""
    if not name:
        return [], "nameless"
    if len(name) > limits.path:
        return [], "long"
    if b"\0" in name:
        # It ends a name in a record: no file system and no reader of archives has such a name.
        return [], "nameless"
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part in (b"", b"."):
            continue
        if part == b"..":
            if not parts:
                return [], "outside"
            parts.pop()
            continue
        parts.append(part)
    return (parts, "") if len(parts) <= limits.depth else ([], "long")


def _entry(folder: bytes, name: bytes, kind: Kind, member: tar.Member) -> Entry | None:
    """The entry of a member; None where it means nothing."""
    if name == _OPAQUE:
        return Entry(folder, b"", Kind.OPAQUE)
    if name.startswith(_OWN) or name == _WHITEOUT:
        return None
    if name.startswith(_WHITEOUT):
        return Entry(folder, name[len(_WHITEOUT) :], Kind.WHITEOUT)
    target = member.target if kind in _HAVE_TARGET else b""
    if kind in _DEVICES:
        target = b"%d, %d" % member.devices
    return Entry(
        folder,
        name,
        kind,
        member.mode & 0o7777,
        member.uid,
        member.gid,
        member.modified,
        member.size if kind.has_content else 0,
        member.digest if kind.has_content else NO_DIGEST,
        target[:4096],
    )
