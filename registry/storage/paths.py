"""Where the stores keep what: paths below a folder, or keys below a prefix of a bucket.

Nobody else builds one.

::

    <root>/
      blobs/sha256/ab/cd/abcd…          a blob, under the first two bytes of its digest
      uploads/12/123e4567-…/<part>      the durable parts of an upload session
      health/                           what the health check writes and deletes
      quarantine/sha256/ab/cd/abcd….<time>  bytes that were found damaged, or that nobody knows

Two levels of 256 folders keep each below some hundred entries for tens of millions of blobs. On S3
the same names are keys, and their even spread lets the store divide them.
"""

from __future__ import annotations

from pathlib import PurePath
from typing import TypeVar
from uuid import UUID

Root = TypeVar("Root", bound=PurePath)


def blob(root: Root, digest: str) -> Root:
    """The file of a blob; `digest` has been checked."""
    algorithm, _, encoded = digest.partition(":")
    # One step: each costs as much as to ask for the file.
    return root / f"blobs/{algorithm}/{encoded[:2]}/{encoded[2:4]}/{encoded}"


def blobs(root: Root) -> Root:
    """The folder that all blobs are below."""
    return root / "blobs"


def quarantined(root: Root, digest: str, moment: str) -> Root:
    """Where the bytes of a damaged blob are moved to; `moment` keeps several apart."""
    algorithm, _, encoded = digest.partition(":")
    folder = root / "quarantine" / algorithm / encoded[:2] / encoded[2:4]
    return folder / f"{encoded}.{moment}"


def uploads(root: Root) -> Root:
    """The folder that all upload sessions are below."""
    return root / "uploads"


def upload(root: Root, session: UUID) -> Root:
    """The folder of an upload session's parts."""
    text = str(session)
    return root / f"uploads/{text[:2]}/{text}"


def part(root: Root, session: UUID, name: str) -> Root:
    """The file of one part; `name` was made by the store."""
    text = str(session)
    return root / f"uploads/{text[:2]}/{text}/{name}"


def health(root: Root) -> Root:
    """The folder for the health check."""
    return root / "health"
