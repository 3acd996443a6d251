"""Where docker's distribution keeps its images, read and never written: a folder or an S3 bucket.

::

    docker/registry/v2/
      blobs/sha256/ab/abcd…/data                            bytes, of blobs and of manifests
      repositories/<name>/_layers/sha256/<hex>/link         may serve this blob
      repositories/<name>/_manifests/revisions/sha256/<hex>/link
      repositories/<name>/_manifests/tags/<tag>/current/link

A link is a file that holds a digest. A deleted one leaves its folder, and a crash an empty file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from registry import digest as digests
from registry.storage.base import CHUNK

MAX_LINK = 1024
"""Bytes of a link that are read."""


class NotThere(Exception):
    """Nothing of distribution's is where the source is said to be."""


class Outside(FileNotFoundError):
    """A link leads out of the folder. Whoever could write there would have any file read."""


class SourceUnavailable(Exception):
    """The source can't be read now, or not by whoever asks. The message names no secret."""


class Source(Protocol):
    """What distribution has written. What is not there raises `FileNotFoundError`.

    Each method may raise `SourceUnavailable`.
    """

    def names(self) -> Iterator[str]:
        """The repositories, in order."""

    def layers(self, name: str) -> Iterator[str]:
        """The digests that a repository may serve."""

    def has_layer(self, name: str, digest: str) -> bool:
        """Whether a repository may serve a blob."""

    def revisions(self, name: str) -> Iterator[str]:
        """The digests of its manifests, tagged or not."""

    def tags(self, name: str) -> Iterator[tuple[str, str]]:
        """Its tags, with what they point at."""

    def size(self, digest: str) -> int:
        """The bytes of a blob or a manifest."""

    def chunks(self, digest: str) -> Iterator[bytes]:
        """The content of a blob or a manifest, piece by piece."""


def data(digest: str) -> str:
    """Where the content of a digest lies below the root."""
    algorithm, _, encoded = digest.partition(":")
    return f"blobs/{algorithm}/{encoded[:2]}/{encoded}/data"


def layer_link(name: str, digest: str) -> str:
    """Where it says that a repository may serve a digest."""
    algorithm, _, encoded = digest.partition(":")
    return f"repositories/{name}/_layers/{algorithm}/{encoded}/link"


class FolderSource:
    """A `Source` in a folder. Links that lead out of it are not followed."""

    def __init__(self, root: Path) -> None:
        """`root` is the one in its configuration, or ``docker/registry/v2`` below it.

        Raises `NotThere`.
        """
        nested = root / "docker" / "registry" / "v2"
        self.root = nested if nested.is_dir() else root
        if not (self.root / "repositories").is_dir() or not (self.root / "blobs").is_dir():
            raise NotThere(f"{root} holds no docker/registry/v2 with blobs and repositories")
        self._real = self.root.resolve()

    def names(self) -> Iterator[str]:
        """See `Source.names`."""
        top = self.root / "repositories"
        for folder, below, _ in os.walk(top):
            below.sort()
            if "_manifests" in below or "_layers" in below:
                yield Path(folder).relative_to(top).as_posix()
            below[:] = [name for name in below if not name.startswith("_")]

    def layers(self, name: str) -> Iterator[str]:
        """See `Source.layers`."""
        return self._links(self.root / "repositories" / name / "_layers")

    def has_layer(self, name: str, digest: str) -> bool:
        """See `Source.has_layer`."""
        return self._said(self.root / layer_link(name, digest)) == digest

    def revisions(self, name: str) -> Iterator[str]:
        """See `Source.revisions`."""
        return self._links(self.root / "repositories" / name / "_manifests" / "revisions")

    def tags(self, name: str) -> Iterator[tuple[str, str]]:
        """See `Source.tags`."""
        for link in sorted(
            (self.root / "repositories" / name / "_manifests" / "tags").glob("*/current/link")
        ):
            yield link.parent.parent.name, self._said(link)

    def size(self, digest: str) -> int:
        """See `Source.size`. Raises `Outside`."""
        return self.path(digest).stat().st_size

    def chunks(self, digest: str) -> Iterator[bytes]:
        """See `Source.chunks`. Raises `Outside`."""
        with self.path(digest).open("rb", buffering=0) as file:
            while chunk := file.read(CHUNK):
                yield chunk

    def path(self, digest: str) -> Path:
        """The file of a blob or a manifest. Raises `FileNotFoundError`, and `Outside`."""
        return self._inside(self.root / data(digest))

    def _inside(self, path: Path) -> Path:
        """The file that `path` leads to. Raises `FileNotFoundError`, and `Outside`."""
        try:
            found = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # A ring of links is a RuntimeError.
            raise FileNotFoundError(path) from error
        if not found.is_relative_to(self._real):
            raise Outside(path)
        if not found.is_file():
            raise FileNotFoundError(path)
        return found

    def _said(self, link: Path) -> str:
        """What a link of distribution's says; nothing where it leads out or is none."""
        try:
            with self._inside(link).open("rb") as file:
                return file.read(MAX_LINK).decode("ascii", "replace").strip()
        except FileNotFoundError:
            return ""

    def _links(self, folder: Path) -> Iterator[str]:
        for link in sorted(folder.glob("*/*/link")):
            digest = f"{link.parent.parent.name}:{link.parent.name}"
            if digests.is_digest(digest) and self._said(link) == digest:
                yield digest
