"""Where the filesystem store keeps what. Nobody else builds a path.

::

    <root>/
      blobs/sha256/ab/cd/abcd…          a blob, under the first two bytes of its digest
      uploads/12/123e4567-…/<part>      the durable parts of an upload session
      health/                           what the health check writes and deletes

Two levels of 256 folders keep each below some hundred entries for tens of millions of blobs.
"""

from __future__ import annotations

from pathlib import Path
from uuid import UUID


def blob(root: Path, digest: str) -> Path:
    """The file of a blob; `digest` has been checked."""
    algorithm, _, encoded = digest.partition(":")
    return root / "blobs" / algorithm / encoded[:2] / encoded[2:4] / encoded


def blobs(root: Path) -> Path:
    """The folder that all blobs are below."""
    return root / "blobs"


def upload(root: Path, session: UUID) -> Path:
    """The folder of an upload session's parts."""
    text = str(session)
    return root / "uploads" / text[:2] / text


def part(root: Path, session: UUID, name: str) -> Path:
    """The file of one part; `name` was made by the store."""
    return upload(root, session) / name


def health(root: Path) -> Path:
    """The folder for the health check."""
    return root / "health"
