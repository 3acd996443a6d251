"""What small writes cost: statements, and syncs. More of either is felt by whoever pushes."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from registry import media_types
from registry.services import revocations
from registry.storage import filesystem
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.images import digests
from tokens.access import Access

pytestmark = pytest.mark.django_db(databases=["registry"])

UPLOADS = f"/v2/{APP}/blobs/uploads/"
OTHER = "acme/other"
_CONTROL = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "SET LOCAL")


@pytest.fixture
def statements() -> Callable[[Callable[[], Any]], int]:
    """How many statements something takes, without those around a transaction, and without one
    that asks for new revocations alone: others bring that along.
    """

    def count(act: Callable[[], Any]) -> int:
        with CaptureQueriesContext(connections["registry"]) as captured:
            response = act()
        assert response.status_code < 300, response.content
        sent = [q["sql"].strip() for q in captured.captured_queries]
        assert sum(revocations.LATEST in sql for sql in sent) == 1
        alone = f"SELECT {revocations.LATEST}"
        return sum(not sql.startswith(_CONTROL) and sql != alone for sql in sent)

    return count


def is_postgresql() -> bool:
    return connections["registry"].vendor == "postgresql"


def put_manifest(person: Person, tag: str, payload: bytes) -> Any:
    path = f"/v2/{APP}/manifests/{tag}"
    return person.send("PUT", path, payload, content_type=media_types.OCI_MANIFEST)


def test_a_blob_in_two_requests(bob: Person, statements: Any) -> None:
    """POST and PUT, in a repository that is there."""
    images.push_blob(APP, b"first")
    begun: list[str] = []

    def start() -> Any:
        response = bob.send("POST", UPLOADS)
        begun.append(response["Location"])
        return response

    assert statements(start) == 1
    finish = f"{begun[0]}&digest={digests.of(b'hello')}"
    # Where it stands; then the repository, the session, the blob, its tombstone, the right to it,
    # and its review.
    assert statements(lambda: bob.send("PUT", finish, b"hello")) == 1 + 6


def test_a_blob_as_docker_uploads_it(bob: Person, statements: Any) -> None:
    """POST, PATCH, PUT."""
    images.push_blob(APP, b"first")
    location = bob.send("POST", UPLOADS)["Location"]
    answers: list[Any] = []
    assert statements(lambda: answers.append(bob.send("PATCH", location, b"hi")) or answers[0]) == 3
    finish = f"{answers[0]['Location']}&digest={digests.of(b'hi')}"
    assert statements(lambda: bob.send("PUT", finish)) == 2 + 7


def test_manifests(bob: Person, statements: Any) -> None:
    config, layer = b"{}", b"layer"
    for body in (config, layer):
        images.push_blob(APP, body)
    payload = json.dumps(images.document(config, [layer])).encode()
    # On PostgreSQL an event has a lock, by which its readers wait for it.
    lock = int(is_postgresql())
    assert statements(lambda: put_manifest(bob, "v1", payload)) == 9 + lock
    assert statements(lambda: put_manifest(bob, "v2", payload)) == 9 + lock
    other = json.dumps(images.document(config, [layer], annotations={"a": "b"})).encode()
    assert statements(lambda: put_manifest(bob, "v3", other)) == 9 + lock


def test_a_mount(bob: Person, statements: Any) -> None:
    images.push_blob(APP, b"first")
    digest = images.push_blob(OTHER, b"hello")
    query = f"?mount={digest}&from={OTHER}"
    also = (Access.repository(OTHER, "pull"),)
    taken = statements(lambda: bob.send("POST", UPLOADS + query, also=also))
    # On PostgreSQL what holds, an event's lock, and all the rest.
    assert taken == (3 if is_postgresql() else 5)


def test_a_disk_begins_with_a_large_part_while_it_comes(
    bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[tuple[int, int]] = []
    monkeypatch.setattr(
        os, "posix_fadvise", lambda _, start, length, advice: begun.append((start, length))
    )
    images.push_blob(APP, b"small")
    assert begun == []
    monkeypatch.setattr(filesystem, "_WRITTEN_BACK", 1024 * 1024)
    body = os.urandom(3_500_000)
    location = bob.send("POST", UPLOADS)["Location"]
    finish = f"{location}&digest={digests.of(body)}"
    assert bob.send("PUT", finish, body).status_code == 201
    ends = [0, *(start + length for start, length in begun)]
    assert [start for start, _ in begun] == ends[:-1], "each byte once"
    assert 3 * 1024 * 1024 <= ends[-1] <= len(body)


def test_syncs_of_a_small_image(bob: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each blob syncs its bytes once, and the two folders that are new on the way to it."""
    images.push_blob(APP, b"first")
    synced: list[str] = []
    monkeypatch.setattr(
        os,
        "fsync",
        lambda descriptor: synced.append(str(Path(f"/proc/self/fd/{descriptor}").readlink())),
    )
    bodies = [os.urandom(100) for _ in range(3)]
    for body in bodies:
        location = bob.send("POST", UPLOADS)["Location"]
        assert bob.send("PUT", f"{location}&digest={digests.of(body)}", body).status_code == 201
    files = [path for path in synced if "/uploads/" in path]
    folders = [path for path in synced if "/blobs/" in path]
    assert len(files) == len(set(files)) == 3
    assert len(folders) <= 3 * 3
    before = len(synced)
    payload = json.dumps(images.document(bodies[0], bodies[1:])).encode()
    assert put_manifest(bob, "v1", payload).status_code == 201
    assert len(synced) == before
