"""A disk without space or inodes: 507 in the protocol's form, nothing left, and on it goes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from registry import digest as digests
from registry.errors import Code
from registry.models import Blob, UploadSession
from tests.refusals import assert_refused
from tests.registry.base import APP, Person
from tests.registry.tmpfs import mounted

pytestmark = pytest.mark.django_db(databases=["registry"])

MIB = 1024 * 1024


@pytest.fixture
def disk(tmp_path: Path, settings: Any) -> Iterator[Path]:
    """A disk of 4 MiB and some hundred inodes that the store is on."""
    with mounted(tmp_path / "disk", "size=4m,nr_inodes=120") as root:
        settings.REGISTRY_STORAGE = {"driver": "filesystem", "root": root}
        yield root


def left(root: Path) -> list[Path]:
    """Everything that uploads have left: files and folders of sessions."""
    return list((root / "uploads").glob("*/*")) if (root / "uploads").exists() else []


def upload(person: Person, body: bytes) -> Any:
    """A blob in one request."""
    digest = digests.of(body)
    return person.send("POST", f"/v2/{APP}/blobs/uploads/?digest={digest}", body)


def start(person: Person) -> str:
    """The address of a new session."""
    location: str = person.send("POST", f"/v2/{APP}/blobs/uploads/")["Location"]
    return location


@pytest.mark.parametrize("chunked", [False, True])
def test_no_space_while_uploading(disk: Path, bob: Person, chunked: bool) -> None:
    session = start(bob)
    body = os.urandom(6 * MIB)
    response = bob.send("PATCH", session, body, chunked=chunked)
    assert_refused(response, Code.UNAVAILABLE, status=507)
    assert left(disk) == []
    assert os.statvfs(disk).f_bavail == os.statvfs(disk).f_blocks
    # The session is whole: what fits goes on in it.
    assert bob.send("GET", session)["Range"] == "0-0"
    body = os.urandom(MIB)
    assert bob.send("PATCH", session, body).status_code == 202
    assert bob.send("PUT", f"{session}&digest={digests.of(body)}").status_code == 201


def test_no_space_in_one_request(disk: Path, bob: Person) -> None:
    assert_refused(upload(bob, os.urandom(6 * MIB)), Code.UNAVAILABLE, status=507)
    assert left(disk) == []
    assert not UploadSession.objects.exists()
    assert not Blob.objects.exists()
    assert upload(bob, os.urandom(MIB)).status_code == 201


def test_no_space_for_joining_parts(disk: Path, bob: Person) -> None:
    session, body = start(bob), os.urandom(3 * MIB)
    assert bob.send("PATCH", session, body[:MIB]).status_code == 202
    assert bob.send("PATCH", session, body[MIB:]).status_code == 202
    finish = f"{session}&digest={digests.of(body)}"
    assert_refused(bob.send("PUT", finish), Code.UNAVAILABLE, status=507)
    assert bob.send("GET", session)["Range"] == f"0-{3 * MIB - 1}"
    (folder,) = left(disk)
    assert sum(path.stat().st_size for path in folder.iterdir()) == 3 * MIB


def test_space_that_is_back_is_used(disk: Path, bob: Person) -> None:
    filler = disk / "filler"
    filler.write_bytes(bytes(3 * MIB))
    body = os.urandom(2 * MIB)
    assert_refused(upload(bob, body), Code.UNAVAILABLE, status=507)
    filler.unlink()
    assert upload(bob, body).status_code == 201
    response = bob.get(f"/v2/{APP}/blobs/{digests.of(body)}", HTTP_AUTHORIZATION=_header(bob))
    assert b"".join(response.streaming_content) == body


def test_no_inodes(disk: Path, bob: Person) -> None:
    fillers = [disk / f"filler-{number}" for number in range(200)]
    made = []
    for filler in fillers:
        try:
            filler.touch()
        except OSError:
            break
        made.append(filler)
    before = os.statvfs(disk).f_files - os.statvfs(disk).f_ffree
    for free in range(4):
        # Each of the files and folders that an upload needs may be the one too many.
        assert_refused(upload(bob, b"hello"), Code.UNAVAILABLE, status=507)
        assert left(disk) == []
        for filler in made[free : free + 1]:
            filler.unlink()
    assert os.statvfs(disk).f_files - os.statvfs(disk).f_ffree <= before
    for filler in made:
        filler.unlink(missing_ok=True)
    assert upload(bob, b"hello").status_code == 201


def _header(person: Person) -> str:
    return f"Bearer {person.token_for(f'/v2/{APP}/blobs/x')}"
