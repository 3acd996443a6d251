"""Layers that lie: each costs what its limits say, and gets a sentence."""

from __future__ import annotations

import itertools
import struct
import tarfile
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gitlab.container_registry.layers.entries import Kind
from gitlab.container_registry.layers.limits import Limits
from gitlab.container_registry.layers.reading import WrongBytes, read_layer
from tests.gitlab.container_registry.layers.archives import (
    END,
    archive,
    by_path,
    digest_of,
    folder,
    gzipped,
    in_chunks,
    link,
    member,
    read,
    zstd,
)

pytestmark = pytest.mark.engineless

GIBIBYTE = 1024**3


def header(name: str = "a", size: int = 0, **more: Any) -> bytes:
    """One header and nothing behind it, whatever it promises."""
    info, _ = member(name, **more)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def with_checksum(block: bytes) -> bytes:
    plain = sum(block[:148]) + sum(block[156:512]) + 8 * 32
    return block[:148] + b"%06o\0 " % plain + block[156:]


def changed(block: bytes, at: int, value: bytes) -> bytes:
    return with_checksum(block[:at] + value + block[at + len(value) :])


def zeros(size: int) -> bytes:
    """A gzip of a file of zeros, packed a thousand to one."""
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(header("zeros", size))]
    parts += [packer.compress(bytes(1024**2)) for _ in range(size // 1024**2)]
    return b"".join([*parts, packer.flush()])


def zstd_bomb(blocks: int, window: int = 0x58) -> bytes:
    """Blocks of one byte repeated, 128 KiB from four. RFC 8878, section 3.1.1.2.2."""
    repeated = struct.pack("<I", (128 * 1024 << 3) | 0b010)[:3] + b"\0"
    last = struct.pack("<I", (128 * 1024 << 3) | 0b011)[:3] + b"\0"
    return b"\x28\xb5\x2f\xfd\x00" + bytes([window]) + repeated * (blocks - 1) + last


def record(text: bytes) -> bytes:
    """A record of pax, whose length counts its own digits."""
    length = len(text) + 2
    length += len(str(length + len(str(length))))
    return b"%d %b\n" % (length, text)


def pax(records: bytes) -> bytes:
    return header("x", len(records), type=b"x") + records + bytes(-len(records) % 512)


CORPUS: dict[str, tuple[Callable[[], bytes], dict[str, Any], str]] = {
    "a gzip bomb": (lambda: zeros(8 * 1024**2), {"ratio_from": 4 * 1024**2}, "more than 300 times"),
    "a zstd bomb": (
        lambda: zstd(header("a", 8 * GIBIBYTE)) + zstd_bomb(2000),
        {},
        "more than 300 times",
    ),
    "more than may be unpacked": (
        lambda: zeros(2 * 1024**2),
        {"unpacked": 1024**2},
        "unpacks to more than 1,048,576 bytes",
    ),
    "more entries than are read": (
        lambda: archive(*(member(f"f{n}") for n in range(50))),
        {"entries": 40},
        "more than 40 entries",
    ),
    "more folders than are read, by one path": (
        lambda: archive(member("/".join("abcdefghij" * 4))),
        {"entries": 30},
        "more than 30 entries",
    ),
    "more entries than are read, none of which is placed": (
        lambda: archive(*(member("../f") for _ in range(50))),
        {"entries": 40},
        "more than 40 entries",
    ),
    "names without an end in all": (
        lambda: archive(*(member(f"{n}" + "n" * 200) for n in range(50))),
        {"records": 4000},
        "names have more than 4,000 bytes",
    ),
    "a long name without an end": (
        lambda: header("x", 2 * 1024**2, type=b"L") + b"n" * 2 * 1024**2,
        {},
        "header has more than 1,048,576 bytes",
    ),
    "a pax header without an end": (
        lambda: header("x", 2**40, type=b"x"),
        {},
        "header has more than 1,048,576 bytes",
    ),
    "headers that follow each other without an end": (
        lambda: pax(record(b"comment=ab")) * 3000,
        {},
        "header has more than 1,048,576 bytes",
    ),
    "a sparse map without an end": (
        lambda: changed(header(type=b"S"), 482, b"\1") + (bytes(504) + b"\1" + bytes(7)) * 3000,
        {},
        "map does not come to its end",
    ),
    "a record of pax longer than its header": (
        lambda: pax(b"99999 path=a\n"),
        {},
        "extended header can't be read",
    ),
    "a record of pax of no length": (lambda: pax(b"0 path=a\n"), {}, "can't be read"),
    "a record of pax without a value": (lambda: pax(record(b"path")), {}, "can't be read"),
    "a size of pax that is none": (
        lambda: pax(record(b"size=-1")) + header(),
        {},
        "number that is none",
    ),
    "a size of pax with digits of other scripts": (
        lambda: pax(record("size=\u0661".encode())) + header(),
        {},
        "number that is none",
    ),
    "a name of pax with a zero byte": (
        lambda: pax(record(b"path=a\0b")),
        {},
        "name has a zero byte",
    ),
    "a name of a sparse file with a zero byte": (
        lambda: pax(record(b"GNU.sparse.name=a\0001b\0" + b"z" * 60)) + header(),
        {},
        "name has a zero byte",
    ),
    "a size that is no number": (
        lambda: changed(header(), 124, b"99999999999\0"),
        {},
        "number that is none",
    ),
    "a size below zero": (
        lambda: changed(header(), 124, b"\xff" * 12),
        {},
        "number below zero",
    ),
    "a size that no disk has": (
        lambda: changed(header(), 124, b"\x80" + b"\xff" * 11) + bytes(4096),
        {},
        "in the midst of a file",
    ),
    "a checksum of something else": (
        lambda: b"b" + header()[1:],
        {},
        "another checksum",
    ),
    "a file that is not there": (lambda: header("a", 1024), {}, "in the midst of a file"),
    "half a header": (lambda: header()[:300], {}, "in the midst of an entry"),
    "entries behind the end": (
        lambda: header() + bytes(512) + header("b"),
        {},
        "stands behind the mark",
    ),
    "half a gzip": (
        lambda: gzipped(archive(member("a", b"x" * 9000)))[:-30],
        {},
        "in the midst of its gzip data",
    ),
    "a gzip that goes on with something else": (
        lambda: gzipped(header()) + b"and more",
        {},
        "with what is none",
    ),
    "a broken gzip": (lambda: b"\x1f\x8b\x08\0" + b"\xff" * 600, {}, "no gzip that can be read"),
    "gzip members without an end": (
        lambda: gzipped(b"") * 30,
        {"members": 20},
        "more than 20 gzip members",
    ),
    "a broken zstd": (
        lambda: b"\x28\xb5\x2f\xfd" + b"\xff" * 60,
        {},
        "no zstd that can be read",
    ),
    "a zstd that looks back too far": (
        lambda: zstd_bomb(9, window=(27 - 10) << 3),
        {},
        "no zstd that can be read",
    ),
    "zstd frames without an end": (
        lambda: zstd(b"") * 5000,
        {"packed": 20_000},
        "more than 20,000 bytes",
    ),
}


@pytest.mark.parametrize("name", CORPUS)
def test_a_layer_that_lies_costs_its_limits_and_gets_a_sentence(name: str) -> None:
    make, limits, sentence = CORPUS[name]
    payload = make()
    tracemalloc.start()
    try:
        if "packed" in limits:
            with pytest.raises(WrongBytes, match=sentence):
                read(payload, **limits)
            return
        found = read(payload, chunk=64 * 1024, **limits)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sentence in found.fault
    assert found.fault.endswith(".")
    # 64 MiB may be unpacked before anybody asks how well it was packed.
    assert found.unpacked_bytes <= 65 * 1024**2
    assert most < 16 * 1024**2, f"{most:,} bytes of memory"


def test_time_is_a_limit_too() -> None:
    with pytest.raises(WrongBytes, match="longer than 0 seconds"):
        read(archive(member("a", b"x")), seconds=0)


def test_bytes_without_an_end_are_not_read_to_it() -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in itertools.count():
            sent += 65536
            yield bytes(65536)

    with pytest.raises(WrongBytes, match="more than 1,000,000 bytes"):
        read_layer(endless(), digest_of(b""), Limits(packed=1_000_000))
    assert sent < 1_200_000


def test_paths_that_lead_out_are_left_out_and_told() -> None:
    found = read(
        archive(
            member("../etc/passwd", b"root"),
            member("a/../../b", b"x"),
            member("a/../c", b"x"),
            member("/d", b"x"),
            member("e" * 5000, b"x"),
            member("/".join("f" * 300), b"x"),
        )
    )
    assert list(by_path(found)) == ["c", "d"]
    assert not found.fault
    assert "2 entries whose paths lead out of the image" in found.left_out
    assert "2 entries whose paths are too long" in found.left_out


def test_links_are_told_and_never_followed() -> None:
    found = by_path(
        read(
            archive(
                link("out", "../../../etc"),
                member("out/passwd", b"x"),
                link("long", "t" * 6000),
                link("loop", "loop"),
                member("hard", type=tarfile.LNKTYPE, linkname="../../etc/shadow"),
            )
        )
    )
    assert found["out"].kind is Kind.SYMLINK
    assert found["out"].target == b"../../../etc"
    assert found["out/passwd"].size == 1
    assert len(found["long"].target) == 4096
    assert found["hard"].target == b"../../etc/shadow"


def test_what_a_sparse_file_claims_costs_nothing() -> None:
    claimed = changed(header("hole", type=b"S"), 483, b"77777777777\0")
    attributes = record(b"GNU.sparse.major=1") + record(b"GNU.sparse.realsize=9999999")
    found = by_path(read(claimed + pax(attributes) + header("pax") + END))
    assert (found["hole"].kind, found["hole"].size) == (Kind.SPARSE, 8 * GIBIBYTE - 1)
    assert (found["pax"].kind, found["pax"].size) == (Kind.SPARSE, 9999999)


def test_what_was_read_before_the_fault_is_kept() -> None:
    found = read(archive(member("a", b"x"), folder("b"), end=b"") + b"c" + header()[1:])
    assert list(by_path(found)) == ["a", "b"]
    assert "checksum" in found.fault


def test_names_are_bytes_of_any_kind() -> None:
    strange = b"\xff\xfe<script>\x1b[31m\n"
    block = changed(header("x" * 20), 0, strange + bytes(100 - len(strange)))
    (found,) = by_path(read(block + END)).values()
    assert found.name == strange


def test_chunks_of_no_bytes_are_no_end() -> None:
    payload = gzipped(archive(member("a", b"x")))
    parts = (part for chunk in in_chunks(payload, 7) for part in (b"", chunk, b""))
    assert len(read_layer(parts, digest_of(payload)).records) == 1
