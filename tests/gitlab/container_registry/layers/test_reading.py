"""What is in a layer: its entries, whatever it is packed by."""

from __future__ import annotations

import gzip
import tarfile
import zlib

import pytest

from gitlab.container_registry.layers import unpacking
from gitlab.container_registry.layers.entries import Kind, joined, split
from gitlab.container_registry.layers.reading import WrongBytes, read_layer
from tests.gitlab.container_registry.layers.archives import (
    archive,
    by_path,
    digest_of,
    entries,
    folder,
    gzipped,
    in_chunks,
    link,
    member,
    read,
    zstd,
)

pytestmark = pytest.mark.engineless

LAYER = archive(
    folder("./etc/"),
    member("etc/os-release", b"NAME=Berth\n", mode=0o644, uid=7, gid=8, mtime=1_700_000_000),
    link("etc/mtab", "/proc/mounts"),
    member("etc/os-again", type=tarfile.LNKTYPE, linkname="etc/os-release"),
    member("dev/null", type=tarfile.CHRTYPE, devmajor=1, devminor=3),
    member("dev/sda", type=tarfile.BLKTYPE, devmajor=8),
    member("run/pipe", type=tarfile.FIFOTYPE),
    member("usr/bin/" + "long" * 60, b"x" * 3000),
)


@pytest.mark.parametrize(
    "pack",
    [
        lambda tar: tar,
        gzipped,
        lambda tar: gzipped(tar[:700]) + gzipped(b"") + gzipped(tar[700:]) + bytes(600),
        zstd,
        lambda tar: zstd(tar[:700]) + b"\x50\x2a\x4d\x18\x04\0\0\0skip" + zstd(tar[700:]),
    ],
    ids=["plain", "gzip", "gzip of several members", "zstd", "zstd of several frames"],
)
@pytest.mark.parametrize("chunk", [1, 511, 1 << 20])
def test_entries_are_the_same_however_a_layer_is_packed(pack: object, chunk: int) -> None:
    assert callable(pack)
    found = read(pack(LAYER), chunk=chunk)
    assert (found.fault, found.left_out) == ("", "")
    assert found.unpacked_bytes == len(LAYER)
    assert {path: entry.kind for path, entry in by_path(found).items()} == {
        "etc": Kind.FOLDER,
        "dev": Kind.IMPLIED,
        "run": Kind.IMPLIED,
        "usr": Kind.IMPLIED,
        "usr/bin": Kind.IMPLIED,
        "etc/os-release": Kind.FILE,
        "etc/mtab": Kind.SYMLINK,
        "etc/os-again": Kind.HARD_LINK,
        "dev/null": Kind.CHARACTER_DEVICE,
        "dev/sda": Kind.BLOCK_DEVICE,
        "run/pipe": Kind.PIPE,
        "usr/bin/" + "long" * 60: Kind.FILE,
    }


def test_it_is_read_without_the_quicker_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(unpacking, "_deflate", zlib)
    assert entries(read(gzipped(LAYER))) == entries(read(LAYER))


def test_an_entry_has_all_that_a_file_is() -> None:
    found = by_path(read(LAYER))
    file = found["etc/os-release"]
    assert (file.mode, file.uid, file.gid, file.modified, file.size) == (
        0o644,
        7,
        8,
        1_700_000_000,
        11,
    )
    assert found["etc/mtab"].target == b"/proc/mounts"
    assert found["etc/os-again"].target == b"etc/os-release"
    assert (found["dev/null"].target, found["dev/sda"].target) == (b"1, 3", b"8, 0")
    assert found["etc"].mode == 0o755


def test_files_of_one_size_are_told_apart_by_content_and_by_attributes() -> None:
    capability = {"SCHILY.xattr.security.capability": "cap"}
    found = by_path(
        read(
            archive(
                member("a", b"one"),
                member("b", b"two"),
                member("c", b"one"),
                member("d", b"one", pax_headers=capability),
            )
        )
    )
    assert found["a"].digest == found["c"].digest
    assert len({found[name].digest for name in "abd"}) == 3


def test_folders_stand_before_what_is_in_them_and_their_entries_together() -> None:
    found = read(
        archive(member("a/z", b""), member("a-b/c", b""), member("a/b/c", b""), member("b", b""))
    )
    assert list(by_path(found)) == ["a", "a-b", "b", "a/b", "a/z", "a-b/c", "a/b/c"]


def test_whiteouts_hide_names_and_whole_folders() -> None:
    found = read(
        archive(
            member("etc/.wh.passwd"),
            member("etc/passwd", b"again"),
            member("opt/.wh..wh..opq"),
            member(".wh..wh.plnk/17"),
            member("usr/.wh."),
        )
    )
    kinds = [(entry.path, entry.kind) for entry in entries(found)]
    assert (b"etc/passwd", Kind.WHITEOUT) in kinds
    assert (b"etc/passwd", Kind.FILE) in kinds
    assert (b"opt/", Kind.OPAQUE) in kinds
    assert not any(b".wh." in path and kind is Kind.WHITEOUT for path, kind in kinds)


def test_of_two_entries_with_one_path_the_later_counts() -> None:
    found = read(archive(member("a/b", b"first"), folder("a"), member("a/b", b"the second")))
    assert [(entry.path, entry.kind, entry.size) for entry in entries(found)] == [
        (b"a", Kind.FOLDER, 0),
        (b"a/b", Kind.FILE, 10),
    ]


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_are_read_in_each_format(form: int) -> None:
    name = "/".join(["a" * 60] * 3) if form == tarfile.USTAR_FORMAT else "ä" * 120
    found = by_path(read(archive(member(name, b"x"), form=form)))
    assert found[name].size == 1


def test_records_can_be_joined_and_split() -> None:
    records = read(LAYER).records
    assert list(split(joined(records))) == records
    assert list(split(b"")) == []


def test_other_bytes_than_the_digest_names_are_nothing() -> None:
    with pytest.raises(WrongBytes, match="other bytes"):
        read_layer(in_chunks(LAYER), digest_of(b"something else"))
    with pytest.raises(WrongBytes, match="no way to check a digest by md5"):
        read_layer(in_chunks(LAYER), "md5:00")


def test_what_the_reader_left_is_read_for_the_digest() -> None:
    behind = gzip.compress(LAYER) + b""
    assert not read(behind).fault
    assert not read(LAYER + b"anything, since nobody reads behind the mark").fault


def test_an_empty_layer_is_one() -> None:
    assert read(b"").records == read(gzipped(archive())).records == []
