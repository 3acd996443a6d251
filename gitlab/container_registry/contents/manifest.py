"""A manifest taken apart: what kind of thing it is, and the parts of it that a page shows.

Source: OCI image specification 1.1, "Image Manifest" and "Image Index".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from gitlab.container_registry.client.reading import is_digest
from gitlab.container_registry.client.responses import (
    MAX_TEXT,
    Part,
    Platform,
    StoredManifest,
)
from gitlab.container_registry.contents import documents, image_config
from gitlab.container_registry.contents.documents import Some, shown
from gitlab.container_registry.contents.image_config import Label

IN_TOTO = "application/vnd.in-toto+json"
"""A layer with a statement of in-toto, which BuildKit and cosign write."""

SUBJECT_OF_ATTESTATION = "vnd.docker.reference.digest"
"""BuildKit's annotation on a descriptor in an index: the manifest that a statement is about."""

_INDEX_TYPES = ("image.index", "manifest.list")
_LAYER_WORDS = ("image.layer", "image.rootfs", "layer.v1.tar", "rootfs.diff", "layer.nondistrib")
_MAX_SIZE = 2**63 - 1


@dataclass(frozen=True)
class Descriptor:
    """What a manifest names: a `Part` with its annotations, which are not read for a page."""

    part: Part
    annotations: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def annotation(self, name: str) -> str:
        """One annotation, "" where it is not there or no text."""
        found = self.annotations.get(name)
        return found[:MAX_TEXT] if isinstance(found, str) else ""


@dataclass(frozen=True)
class Manifest:
    """A manifest or an index. What can't be understood is left out.

    `listed` and `layered` are as they stand in the document: `manifests` and `layers` take some of
    them apart.
    """

    media_type: str
    artifact_type: str
    is_index: bool
    config: Descriptor | None
    subject: str
    annotations: Some[Label]
    layered: Sequence[Any] = field(repr=False)
    listed: Sequence[Any] = field(repr=False)

    def layers(self, start: int = 0, end: int | None = None) -> list[Descriptor]:
        """Some of an image's layers, or of an artifact's files."""
        return _descriptors(self.layered[start:end])

    def manifests(self, start: int = 0, end: int | None = None) -> list[Descriptor]:
        """Some of what an index lists."""
        return _descriptors(self.listed[start:end])

    @property
    def is_image(self) -> bool:
        """Whether it has a root file system: a configuration of an image's, and layers of files.

        An attestation of BuildKit's and an older signature of cosign's have the former alone.
        """
        if self.is_index or self.config is None:
            return False
        if not image_config.is_image_config(self.config.part.media_type):
            return False
        first = next(iter(self.layers(0, 1)), None)
        if first is None:
            return not self.artifact_type
        return any(word in first.part.media_type for word in _LAYER_WORDS)

    @property
    def type(self) -> str:
        """What an artifact calls itself, else the type of its configuration or of its content."""
        found = self.artifact_type or (self.config.part.media_type if self.config else "")
        first = next(iter(self.layers(0, 1)), None)
        if first and (not found or image_config.is_image_config(found) or "empty" in found):
            return first.part.media_type
        return found


def read(stored: StoredManifest) -> Manifest:
    """What a manifest says, as far as it can be understood."""
    said = documents.read_object(stored.payload)
    kind = stored.media_type or shown(said.get("mediaType"), MAX_TEXT)
    subject = documents.within(said, "subject").get("digest")
    listed = documents.listed(said.get("manifests"))
    return Manifest(
        media_type=shown(kind, MAX_TEXT),
        artifact_type=shown(said.get("artifactType"), MAX_TEXT),
        is_index=any(word in kind for word in _INDEX_TYPES)
        or (bool(listed) and "layers" not in said),
        config=_descriptor(said.get("config")),
        subject=subject if isinstance(subject, str) and is_digest(subject) else "",
        annotations=image_config.labels(said.get("annotations")),
        layered=documents.listed(said.get("layers")),
        listed=listed,
    )


def _descriptors(entries: Sequence[Any]) -> list[Descriptor]:
    return [found for found in map(_descriptor, entries) if found]


def _descriptor(entry: Any) -> Descriptor | None:
    """What an entry names; None where it names nothing by a digest."""
    if not isinstance(entry, Mapping):
        return None
    digest, size = entry.get("digest"), entry.get("size")
    if not isinstance(digest, str) or not is_digest(digest):
        return None
    platform = documents.within(entry, "platform")
    part = Part(
        digest=digest,
        size_bytes=min(max(0, size), _MAX_SIZE) if isinstance(size, int) else 0,
        media_type=shown(entry.get("mediaType"), MAX_TEXT),
        platform=_platform(platform) if platform else None,
        artifact_type=shown(entry.get("artifactType"), MAX_TEXT),
    )
    return Descriptor(part, documents.within(entry, "annotations"))


def _platform(said: Mapping[str, Any]) -> Platform:
    return Platform(*(shown(said.get(key), 100) for key in ("os", "architecture", "variant")))
