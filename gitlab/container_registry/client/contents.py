"""What a manifest says of itself, read from its bytes: for registries that don't tell."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gitlab.container_registry.client.responses import (
    MAX_TEXT,
    Part,
    Platform,
    StoredManifest,
    moment,
    read_json,
    word,
)

MAX_PLATFORMS = 64
"""Of an index, as our own registry tells them."""


@dataclass(frozen=True)
class Contents:
    """What one digest is. It never changes, so whoever has read it once need not ask again.

    `blobs` has the size of each blob by digest, those of an index's manifests included. `is_cut`
    says that there is more than was read.
    """

    media_type: str
    blobs: Mapping[str, int]
    config_digest: str = ""
    artifact_type: str = ""
    created_at: dt.datetime | None = None
    platforms: tuple[Platform, ...] = ()
    is_cut: bool = False

    @property
    def size_bytes(self) -> int:
        """Each blob once."""
        return sum(self.blobs.values())


UNREAD = Contents("", {}, is_cut=True)
"""What is there and was not read, since it is too much."""


def document(payload: bytes) -> Mapping[str, Any]:
    """A JSON object; an empty one where it is none."""
    try:
        found = read_json(payload)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def config_of(manifest: StoredManifest) -> Part | None:
    """The configuration that a manifest names."""
    found = document(manifest.payload).get("config")
    try:
        return Part.read(found) if isinstance(found, dict) and found.get("digest") else None
    except (ValueError, TypeError, AttributeError, OverflowError):
        return None


def of_image(manifest: StoredManifest, configuration: bytes) -> Contents:
    """An image, or what else has layers. `configuration` is the blob, b"" where it is not known."""
    config = config_of(manifest)
    parts = [*([config] if config else []), *manifest.parts("layers")]
    said = document(configuration)
    platform = Platform.read(said)
    artifact = word(document(manifest.payload), "artifactType")
    return Contents(
        manifest.media_type[:MAX_TEXT],
        {part.digest: part.size_bytes for part in parts},
        config_digest=config.digest if config else "",
        artifact_type=artifact or (config.media_type if config else ""),
        created_at=moment(said.get("created")),
        platforms=(platform,) if platform.os and platform.architecture else (),
    )


def of_index(
    manifest: StoredManifest, children: list[Contents], *, is_cut: bool = False
) -> Contents:
    """An index of `children`, as far as these are known. It is as old as its youngest part."""
    parts = [part for part in manifest.parts("manifests") if not part.is_attestation]
    times = [child.created_at for child in children if child.created_at]
    return Contents(
        manifest.media_type[:MAX_TEXT],
        {digest: size for child in children for digest, size in child.blobs.items()},
        artifact_type=word(document(manifest.payload), "artifactType"),
        created_at=max(times, default=None),
        platforms=tuple(part.platform for part in parts if part.platform)[:MAX_PLATFORMS],
        is_cut=is_cut or any(child.is_cut for child in children),
    )
