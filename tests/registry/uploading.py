"""What tests of uploads share."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from tests.registry.base import APP, Person

UPLOADS = f"/v2/{APP}/blobs/uploads/"


def digest_of(body: bytes, algorithm: str = "sha256") -> str:
    return f"{algorithm}:{hashlib.new(algorithm, body).hexdigest()}"


def start(person: Person, name: str = APP) -> str:
    """The address of a new session."""
    response = person.send("POST", f"/v2/{name}/blobs/uploads/")
    assert response.status_code == 202
    location: str = response.headers["Location"]
    return location


def parts(root: Path) -> list[Path]:
    """What lies in the folder of uploads."""
    return [path for path in (root / "uploads").rglob("*") if path.is_file()]


def assert_no_folders(root: Path) -> None:
    """Not even an empty folder of an upload is left."""
    assert not list((root / "uploads").glob("*/*"))


def assert_created(response: Any, digest: str, name: str = APP) -> None:
    assert response.status_code == 201, response.content
    assert response.content == b""
    assert response.headers["Location"] == f"/v2/{name}/blobs/{digest}"
    assert response.headers["Docker-Content-Digest"] == digest
