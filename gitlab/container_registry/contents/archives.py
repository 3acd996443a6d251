"""The files of a small tar archive that is in memory: names and bytes, and nothing else of it.

By hand and not by `tarfile`, which takes longer than anybody waits for a header of pax that is made
for it, in every Python of before September 2024 (CVE-2024-6232), and reads headers by recursion.
Sources: POSIX.1-2017, pax, "ustar Interchange Format" and "pax Extended Header"; GNU tar's manual,
"Basic Tar Format".
"""

from __future__ import annotations

from collections.abc import Iterator

_BLOCK = 512
_FILES = (b"0", b"\0", b"7")
_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_TARGET = b"x", b"g", b"L", b"K"
_LONGER = (_PAX, _PAX_GLOBAL, _LONG_NAME, _LONG_TARGET)
_NO_CONTENT = (b"1", b"2", b"3", b"4", b"5", b"6")
"""Links, devices, folders and pipes: a size that these tell is ignored."""

_LONGEST = 64 * 1024
"""Bytes of a header that names the next entry."""


class _Unreadable(ValueError):
    """There is no archive from here on."""


def files(archive: bytes, most: int) -> Iterator[tuple[str, bytes]]:
    """Name and content of the plain files among the first `most` entries of an archive.

    Ends where the archive does, and where it can't be read. A file that is cut off has what is
    there of it.
    """
    at, longer = 0, b""
    for _ in range(most):
        header = archive[at : at + _BLOCK]
        kind = header[156:157]
        try:
            size = _size(header, kind)
            content = archive[at + _BLOCK : at + _BLOCK + size]
            if kind in (_PAX, _LONG_NAME):
                longer = _longer_name(kind, content) or longer
        except _Unreadable:
            return
        at += _BLOCK + size + -size % _BLOCK
        if kind in _LONGER:
            continue
        if kind in _FILES:
            yield (longer or _name(header)).decode("utf-8", "replace"), content
        longer = b""


def _size(header: bytes, kind: bytes) -> int:
    """How many bytes stand behind a header. Raises `_Unreadable`, at the end of the archive too."""
    if len(header) < _BLOCK or not header.strip(b"\0"):
        raise _Unreadable
    if _octal(header[148:156]) != sum(header) - sum(header[148:156]) + 8 * 32:
        raise _Unreadable
    return 0 if kind in _NO_CONTENT else _octal(header[124:136])


def _octal(field: bytes) -> int:
    digits = field.partition(b"\0")[0].strip(b" ")
    if digits.strip(b"01234567"):
        raise _Unreadable
    return int(digits or b"0", 8)


def _name(header: bytes) -> bytes:
    name = header[:100].partition(b"\0")[0]
    # GNU's own format has times where ustar has the prefix.
    prefix = header[345:500].partition(b"\0")[0] if header[257:263] == b"ustar\0" else b""
    return b"%b/%b" % (prefix, name) if prefix else name


def _longer_name(kind: bytes, content: bytes) -> bytes:
    """The name that a header gives the next entry, b"" where it gives none."""
    if len(content) > _LONGEST:
        raise _Unreadable
    if kind == _LONG_NAME:
        return content.partition(b"\0")[0]
    found, at = b"", 0
    while at < len(content) and content[at]:
        space = content.find(b" ", at, at + 9)
        digits = content[at:space] if space > at else b""
        end = at + int(digits) if digits.isdigit() else at
        if not at < space < end <= len(content):
            raise _Unreadable
        key, equals, value = content[space + 1 : end - 1].partition(b"=")
        # A size that stands here is that of a file of gigabytes: there is none in what is read.
        if not equals or key == b"size":
            raise _Unreadable
        found, at = (value if key == b"path" else found), end
    return found
