"""What lies behind digests in a registry that doesn't tell: read manifest by manifest, within
bounds, and remembered, since what a digest is never changes.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from typing import Protocol

from gitlab.container_registry.client import contents
from gitlab.container_registry.client.connection import AnswerTooLarge
from gitlab.container_registry.client.contents import Contents
from gitlab.container_registry.client.responses import Part, StoredManifest
from gitlab.container_registry.client.walk import Walk

MAX_CONFIG = 1024 * 1024
"""Bytes of a configuration that is read."""

MAX_CHILDREN = 64
MAX_DEPTH = 3
"""Of an index of indexes."""

_REMEMBERED = 2000
_REMEMBERED_BLOBS = 100_000
"""Sizes of blobs in all that is remembered: some 20 MB."""

_INDEX_TYPES = ("image.index", "manifest.list")
_DIGEST = re.compile(r"[a-z0-9]+(?:[.+_-][a-z0-9]+)*:[a-zA-Z0-9=_-]{1,200}")


class Source(Protocol):
    """Where manifests and configurations come from."""

    def manifest(self, path: str, reference: str) -> StoredManifest | None:
        """A manifest by digest, or None."""

    def configuration(self, path: str, digest: str) -> bytes:
        """A blob of at most `MAX_CONFIG` bytes, b"" where it can't be had."""


class Reader:
    """Contents by digest. Safe to share between threads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._known: OrderedDict[str, Contents] = OrderedDict()
        self._blobs = 0

    def read(self, path: str, digest: str, walk: Walk, depth: int = 0) -> Contents | None:
        """What a digest is, None where it is not there; cut where the walk ends before it does."""
        known = self._remembered(digest)
        if known:
            return known
        if not walk.take():
            return contents.UNREAD
        try:
            manifest = self._source.manifest(path, digest)
        except AnswerTooLarge:
            return contents.UNREAD
        if manifest is None:
            return None
        if not is_index(manifest):
            found = contents.of_image(manifest, self._configuration(path, manifest))
            self._remember(digest, found)
            return found
        parts = children(manifest)
        shown = parts[:MAX_CHILDREN] if depth < MAX_DEPTH else []
        below = [self.read(path, part.digest, walk, depth + 1) for part in shown]
        found = contents.of_index(
            manifest, [child for child in below if child], is_cut=len(shown) < len(parts)
        )
        # A part that is missing may still come, and from the next one on there may be more depth.
        if all(child and not child.is_cut for child in below) and depth < MAX_DEPTH:
            self._remember(digest, found)
        return found

    def _configuration(self, path: str, manifest: StoredManifest) -> bytes:
        part = contents.config_of(manifest)
        if part is None or not is_digest(part.digest) or part.size_bytes > MAX_CONFIG:
            return b""
        try:
            return self._source.configuration(path, part.digest)
        except AnswerTooLarge:
            return b""

    def _remembered(self, digest: str) -> Contents | None:
        with self._lock:
            if digest in self._known:
                self._known.move_to_end(digest)
            return self._known.get(digest)

    def _remember(self, digest: str, found: Contents) -> None:
        with self._lock:
            if digest in self._known:
                return
            self._known[digest] = found
            self._blobs += len(found.blobs)
            while len(self._known) > _REMEMBERED or self._blobs > _REMEMBERED_BLOBS:
                _, oldest = self._known.popitem(last=False)
                self._blobs -= len(oldest.blobs)


def is_digest(text: str) -> bool:
    """Whether a text has the form of a digest, and not the length of a novel."""
    return bool(_DIGEST.fullmatch(text))


def is_index(manifest: StoredManifest) -> bool:
    """Whether it lists manifests."""
    return any(part in manifest.media_type for part in _INDEX_TYPES)


def children(manifest: StoredManifest) -> list[Part]:
    """What an index lists, each digest once."""
    found = {part.digest: part for part in manifest.parts("manifests") if is_digest(part.digest)}
    return list(found.values())
