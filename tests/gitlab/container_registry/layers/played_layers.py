"""Images with layers that can be read, in a played registry."""

from __future__ import annotations

import json
from typing import Any

from gitlab.container_registry.client.responses import StoredManifest
from gitlab.container_registry.layers import storing
from gitlab.container_registry.layers.reading import read_layer
from tests.gitlab.container_registry.layers.archives import digest_of, gzipped, in_chunks
from tests.gitlab.played_registry import MANIFEST

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"


def put(played: Any, content: bytes, media_type: str) -> dict[str, Any]:
    """A blob and its descriptor."""
    played.blobs[digest_of(content)] = content
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def push(played: Any, *layers: bytes, config: dict[str, Any] | None = None, **more: Any) -> str:
    """An image of these archives, the lowest first; the digest of its manifest."""
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": put(played, json.dumps(config or {}).encode(), CONFIG),
        "layers": [put(played, gzipped(layer), LAYER) for layer in layers],
        **more,
    }
    payload = json.dumps(document).encode()
    played.manifests[digest_of(payload)] = StoredManifest(MANIFEST, payload)
    return digest_of(payload)


def read_all(played: Any, digests: list[str]) -> None:
    """Read blobs as a job does."""
    for digest in digests:
        storing.store(digest, read_layer(in_chunks(played.blobs[digest]), digest))


def listed(*layers: bytes) -> Any:
    """Layers that have been read, the lowest first."""
    for layer in layers:
        storing.store(digest_of(layer), read_layer(in_chunks(layer), digest_of(layer)))
    return storing.listed([digest_of(layer) for layer in layers])
