"""What tests of the collector share: time that passes, and what is then still whole."""

from __future__ import annotations

import datetime as dt
from typing import Any

from registry.errors import RegistryError
from registry.services import blobs, manifests
from registry.services.garbage import collection as garbage
from registry.storage.filesystem import FilesystemStore
from tests.registry import images

OTHER = "acme/other"
DAY = dt.timedelta(days=1)


def collect(clock: Any, rounds: int = 6) -> int:
    """Let a day pass and review everything, several times. Answers how many rows went."""
    removed = 0
    for _ in range(rounds):
        clock.advance(days=1)
        removed += garbage.review(1000).removed
    return removed


def files(store: FilesystemStore) -> set[str]:
    """The digests in the store."""
    return {blob.digest for blob in store.blobs()}


def assert_whole(name: str, image: images.Image, store: FilesystemStore) -> None:
    """The image can be pulled: manifest, rows and bytes are there."""
    assert manifests.find(name, image.digest).payload == image.payload
    for digest in {image.config, *image.layers} - {""}:
        assert blobs.find(name, digest).size == store.size(digest)


def only_refusals(results: list[Any]) -> None:
    """No deadlock, no lost row: at most refusals in the protocol's words."""
    for result in results:
        if isinstance(result, BaseException) and not isinstance(result, RegistryError):
            raise result
