"""The entries of a tar archive, read as it comes: nothing is unpacked anywhere.

It reads what clients read: ustar with GNU's and pax's longer names, sizes in base 256, sparse files
of both kinds. Where readers differ it does as Go's ``archive/tar``, by which docker and containerd
unpack. Sources: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar's
manual, "Basic Tar Format".
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, NamedTuple

from gitlab.container_registry.layers.limits import Budget, LayerFault

_BLOCK = 512
_END = bytes(_BLOCK)
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_TARGET = b"x", b"g", b"L", b"K"
_SPARSE = b"S"
_NO_CONTENT = frozenset(b"123456")
"""Links, devices, folders and pipes. A size that these tell is ignored, as GNU's tar does."""

_XATTR = b"SCHILY.xattr."
_NAMES = (b"path", b"linkpath", b"GNU.sparse.name")
"""Records of pax that name a file."""


class Member(NamedTuple):
    """One member as the archive says it is. `name` and `target` are as they stand there.

    `size` is what the file has once it is unpacked, which of a sparse file may be far more than is
    stored. `digest` as in `entries.Entry`.
    """

    name: bytes
    type: bytes
    mode: int
    uid: int
    gid: int
    modified: int
    size: int
    target: bytes
    devices: tuple[int, int]
    digest: bytes
    is_sparse: bool = False


def members(blocks: Iterator[bytes], budget: Budget) -> Iterator[Member]:
    """Each member of an archive to its end. Raises `LayerFault`; `blocks` are bytes of any size."""
    tape = _Tape(blocks)
    longer: dict[str, Any] = {}
    headers = 0
    while True:
        header = tape.take(_BLOCK)
        if not header or header == _END:
            _require_end(tape, header)
            return
        _require_checksum(header)
        kind = header[156:157]
        if kind in (_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_TARGET):
            headers += _BLOCK + _number(header, 124, 12)
            if headers > budget.limits.header:
                raise LayerFault(f"An entry's header has more than {budget.limits.header:,} bytes.")
            _read_longer(kind, tape, header, longer)
            continue
        yield _member(kind, header, longer, tape, budget)
        longer, headers = {}, 0


class _Tape:
    """Bytes in order."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        self._blocks = blocks
        self._block = b""
        self._at = 0

    def take(self, size: int) -> bytes:
        """The next `size` bytes, b"" at the very end. Raises `LayerFault` in the midst of them."""
        end = self._at + size
        if end <= len(self._block):
            found = self._block[self._at : end]
            self._at = end
            return found
        found = b"".join(self.pieces(size, at_end=True))
        if found and len(found) < size:
            raise LayerFault("The layer ends in the midst of an entry.")
        return found

    def pieces(self, size: int, *, at_end: bool = False) -> Iterator[Any]:
        """The next `size` bytes as they lie there. Raises `LayerFault` where there are fewer, but
        for `at_end`.
        """
        while size:
            if self._at >= len(self._block):
                self._block, self._at = next(self._blocks, b""), 0
                if not self._block:
                    if at_end:
                        return
                    raise LayerFault("The layer ends in the midst of a file.")
            piece = memoryview(self._block)[self._at : self._at + size]
            self._at += len(piece)
            size -= len(piece)
            yield piece

    def skip(self, size: int) -> None:
        """Leave bytes out."""
        end = self._at + size
        if end <= len(self._block):
            self._at = end
            return
        for _ in self.pieces(size):
            pass


def _require_end(tape: _Tape, header: bytes) -> None:
    """An archive ends by two blocks of zeros, or with the bytes."""
    second = tape.take(_BLOCK) if header else b""
    if second and second != _END:
        raise LayerFault("An entry stands behind the mark that ends the archive.")


def _require_checksum(header: bytes) -> None:
    said = _number(header, 148, 8)
    plain = sum(header) - sum(header[148:156]) + 8 * 32
    if said == plain:
        return
    # Some of old have summed signed bytes.
    high = sum(byte >= 128 for byte in header[:148]) + sum(byte >= 128 for byte in header[156:])
    if said != plain - 256 * high:
        raise LayerFault("An entry's header has another checksum than it says.")


def _number(header: bytes, start: int, length: int) -> int:
    """A number of a header: octal, or in base 256. Raises `LayerFault` for none, or below zero."""
    field = header[start : start + length]
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise LayerFault("An entry's header has a number below zero.")
        return int.from_bytes(bytes([field[0] & 0x3F]) + field[1:], "big")
    digits = field.partition(b"\0")[0].strip(b" ")
    if not digits:
        return 0
    try:
        return _octal(digits)
    except ValueError as error:
        raise LayerFault("An entry's header has a number that is none.") from error


def _octal(digits: bytes) -> int:
    if not digits.isdigit():
        raise ValueError(digits)
    return int(digits, 8)


def _time(header: bytes) -> int:
    """When it was changed, which may be before 1970: nobody's answer depends on it."""
    field = header[136:148]
    if field[0] & 0x80:
        return int.from_bytes(field, "big", signed=True) if field[0] & 0x40 else 0
    try:
        return _number(header, 136, 12)
    except LayerFault:
        return 0


def _text(header: bytes, start: int, length: int) -> bytes:
    return header[start : start + length].partition(b"\0")[0]


def _read_longer(kind: bytes, tape: _Tape, header: bytes, longer: dict[str, Any]) -> None:
    """What a header says of the next one, into `longer`."""
    size = _number(header, 124, 12)
    content = tape.take(size) if size else b""
    if size and not content:
        raise LayerFault("The layer ends in the midst of a header.")
    tape.skip(-size % _BLOCK)
    if kind == _LONG_NAME:
        longer["name"] = content.partition(b"\0")[0]
    elif kind == _LONG_TARGET:
        longer["target"] = content.partition(b"\0")[0]
    elif kind == _PAX:
        longer["pax"] = _pax_records(content)


def _pax_records(content: bytes) -> dict[bytes, bytes]:
    """The records of a pax header: ``27 path=a/name/that/is/long\\n``. Raises `LayerFault`."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(content) and content[at]:
        space = content.find(b" ", at, at + 20)
        digits = content[at:space] if space > 0 else b""
        length = int(digits) if digits.isdigit() else 0
        record = content[space + 1 : at + length]
        key, equals, value = record[:-1].partition(b"=")
        is_there = space < at + length <= len(content)
        if not is_there or not record.endswith(b"\n") or not equals:
            raise LayerFault("An entry's extended header can't be read.")
        if key in _NAMES and b"\0" in value:
            raise LayerFault("An entry's name has a zero byte.")
        found[key] = value
        at += length
    return found


def _decimal(pax: dict[bytes, bytes], key: bytes, otherwise: int) -> int:
    value = pax.get(key)
    if not value:
        return otherwise
    if not value.isdigit() or len(value) > 19:
        raise LayerFault("An entry's extended header has a number that is none.")
    return int(value)


def _member(
    kind: bytes, header: bytes, longer: dict[str, Any], tape: _Tape, budget: Budget
) -> Member:
    pax = longer.get("pax") or {}
    stored = _decimal(pax, b"size", _number(header, 124, 12))
    if kind[0] in _NO_CONTENT:
        stored = 0
    size, is_sparse = _sparse(kind, header, pax, stored, tape, budget)
    digest = _digest(tape, stored, pax)
    tape.skip(-stored % _BLOCK)
    return Member(
        name=_name(header, longer, pax),
        type=kind,
        mode=_number(header, 100, 8) & 0xFFFF,
        uid=_decimal(pax, b"uid", _number(header, 108, 8)),
        gid=_decimal(pax, b"gid", _number(header, 116, 8)),
        modified=_time(header),
        size=size,
        target=pax.get(b"linkpath") or longer.get("target") or _text(header, 157, 100),
        devices=(_number(header, 329, 8), _number(header, 337, 8)) if kind in b"34" else (0, 0),
        digest=digest,
        is_sparse=is_sparse,
    )


def _name(header: bytes, longer: dict[str, Any], pax: dict[bytes, bytes]) -> bytes:
    said = pax.get(b"GNU.sparse.name") or pax.get(b"path") or longer.get("name")
    if said:
        return bytes(said)
    name = _text(header, 0, 100)
    # GNU's own format has times where ustar has the prefix.
    prefix = _text(header, 345, 155) if header[257:263] == b"ustar\0" else b""
    return b"%b/%b" % (prefix, name) if prefix else name


def _sparse(
    kind: bytes,
    header: bytes,
    pax: dict[bytes, bytes],
    stored: int,
    tape: _Tape,
    budget: Budget,
) -> tuple[int, bool]:
    """How large a file is once unpacked, and whether it has holes."""
    if kind == _SPARSE:
        size = _number(header, 483, 12)
        goes_on, more = header[482], 0
        while goes_on:
            more += _BLOCK
            if more > budget.limits.header:
                raise LayerFault("A sparse file's map does not come to its end.")
            block = tape.take(_BLOCK)
            if not block:
                raise LayerFault("The layer ends in the midst of a header.")
            goes_on = block[504]
        return size, True
    if any(key.startswith(b"GNU.sparse.") for key in pax):
        size = _decimal(pax, b"GNU.sparse.size", stored)
        return _decimal(pax, b"GNU.sparse.realsize", size), True
    return stored, False


def _digest(tape: _Tape, stored: int, pax: dict[bytes, bytes]) -> bytes:
    """See `entries.Entry`."""
    hashed = hashlib.sha256()
    for piece in tape.pieces(stored):
        hashed.update(piece)
    for key in sorted(pax):
        if key.startswith(_XATTR):
            hashed.update(b"\0%d %b=%d %b" % (len(key), key, len(pax[key]), pax[key]))
    return hashed.digest()[:16]
