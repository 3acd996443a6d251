"""Manifests and small blobs by digest, remembered: what a digest is never changes.

Who may have it does: an image that may serve a digest today may not tomorrow, and another one never
did. So the registry is asked each time whether this image has it, and what it is only once. Nothing
is remembered past `MAX_REMEMBERED` bytes, and nothing between registries.
"""

from __future__ import annotations

import threading
import weakref
from collections import OrderedDict
from typing import TypeVar

from gitlab.container_registry.client.connection import AnswerTooLarge
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import StoredManifest

MAX_BLOB = 8 * 1024 * 1024
"""Bytes of a blob that is read to be shown: an SBOM with each file of an image has a few MiB."""

MAX_REMEMBERED = 32 * 1024 * 1024
"""Bytes that one client keeps of what it has read."""

_OVERHEAD = 512
"""Bytes that an entry costs besides its content, at most."""

Content = TypeVar("Content", bytes, StoredManifest)


class Remembered:
    """Contents by digest, the least used forgotten first. Safe to share between threads."""

    def __init__(self, max_bytes: int = MAX_REMEMBERED) -> None:
        self._lock = threading.Lock()
        self._max_bytes = max_bytes
        self._known: OrderedDict[tuple[type, str], bytes | StoredManifest] = OrderedDict()
        self._bytes = 0

    def get(self, kind: type[Content], digest: str) -> Content | None:
        """What a digest is, None where it is not known."""
        with self._lock:
            found = self._known.get((kind, digest))
            if found is not None:
                self._known.move_to_end((kind, digest))
            return found if isinstance(found, kind) else None

    def put(self, digest: str, content: bytes | StoredManifest) -> None:
        """Keep it. What alone is more than a quarter of all is not kept."""
        cost = _cost(content)
        key = (type(content), digest)
        with self._lock:
            if cost > self._max_bytes // 4 or key in self._known:
                return
            self._known[key] = content
            self._bytes += cost
            while self._bytes > self._max_bytes:
                _, oldest = self._known.popitem(last=False)
                self._bytes -= _cost(oldest)


def _cost(content: bytes | StoredManifest) -> int:
    return len(content if isinstance(content, bytes) else content.payload) + _OVERHEAD


_remembered: weakref.WeakKeyDictionary[Registry, Remembered] = weakref.WeakKeyDictionary()


def _of(registry: Registry) -> Remembered:
    return _remembered.setdefault(registry, Remembered())


def manifest(
    registry: Registry, path: str, digest: str, *, is_here: bool = False
) -> StoredManifest | None:
    """A manifest of an image by digest, None where the image does not have it now.

    `is_here`: the registry has just said that it has, so that it is not asked again. Raises
    `RegistryUnavailable`, `RegistryRefused`.
    """
    known = _of(registry).get(StoredManifest, digest)
    if known is not None:
        return known if is_here or registry.has_manifest(path, digest) else None
    found = registry.manifest(path, digest)
    if found is not None:
        _of(registry).put(digest, found)
    return found


def blob(
    registry: Registry,
    path: str,
    digest: str,
    *,
    max_bytes: int = MAX_BLOB,
    is_here: bool = False,
) -> bytes | None:
    """A small blob of an image, None where the image may not serve it, or it is too large.

    `is_here`: the registry has just said that it may. Raises `RegistryUnavailable`,
    `RegistryRefused`.
    """
    known = _of(registry).get(bytes, digest)
    if known is not None:
        fits = len(known) <= max_bytes
        return known if fits and (is_here or registry.has_blob(path, digest)) else None
    try:
        found = registry.blob(path, digest, max_bytes=max_bytes)
    except AnswerTooLarge:
        return None
    if found is not None:
        _of(registry).put(digest, found)
    return found
