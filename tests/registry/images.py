"""Images for tests, pushed through the services, in a few lines."""

from __future__ import annotations

import hashlib
import json
import uuid
from dataclasses import dataclass
from typing import Any

from registry import digest as digests
from registry import media_types
from registry.actor import Actor
from registry.models import UploadSession
from registry.services import pushing, uploads

LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"
ALICE = Actor("alice")
EMPTY_CONFIG = b"{}"


@dataclass(frozen=True)
class Image:
    """What was pushed: the manifest's digest and bytes, and the blobs that it refers to."""

    digest: str
    payload: bytes
    media_type: str
    config: str
    layers: tuple[str, ...]

    @property
    def size(self) -> int:
        """The manifest's size in bytes."""
        return len(self.payload)

    @property
    def descriptor(self) -> dict[str, Any]:
        """What an index or a subject says of it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": self.size}


def content(size: int = 100) -> bytes:
    """Bytes that nobody has pushed yet."""
    seed = uuid.uuid4().bytes
    return (seed * (size // 16 + 1))[:size]


def push_blob(name: str, body: bytes, actor: Actor = ALICE, algorithm: str = "sha256") -> str:
    """Push a blob. Answers its digest."""
    digest = digests.of(body, algorithm)
    session = uploads.start(name, actor)
    uploads.commit(session, digest, [body], None)
    return digest


def as_told(session: UploadSession) -> UploadSession:
    """The session as another request has it from its address."""
    return UploadSession(
        id=session.pk,
        repository_id=session.repository_id,
        opened_by=session.opened_by,
        algorithm=session.algorithm,
        expires_at=session.expires_at,
    )


def descriptor(body: bytes, media_type: str, algorithm: str = "sha256") -> dict[str, Any]:
    """What a manifest says of a blob."""
    return {"mediaType": media_type, "digest": digests.of(body, algorithm), "size": len(body)}


def document(
    config: bytes, layers: list[bytes], media_type: str = media_types.OCI_MANIFEST, **more: Any
) -> dict[str, Any]:
    """A manifest as JSON has it."""
    return {
        "schemaVersion": 2,
        "mediaType": media_type,
        "config": descriptor(config, CONFIG),
        "layers": [descriptor(layer, LAYER) for layer in layers],
        **more,
    }


def encoded(value: Any) -> bytes:
    """JSON as a client would write it."""
    return json.dumps(value, indent=2).encode()


def push_manifest(name: str, reference: str | None, value: dict[str, Any]) -> Image:
    """Push a manifest or an index under a tag, or under its digest where there is none."""
    payload = encoded(value)
    digest = f"sha256:{hashlib.sha256(payload).hexdigest()}"
    pushing.push(name, reference or digest, payload, value["mediaType"], ALICE)
    return Image(
        digest=digest,
        payload=payload,
        media_type=value["mediaType"],
        config=value.get("config", {}).get("digest", ""),
        layers=tuple(layer["digest"] for layer in value.get("layers", ())),
    )


def push_image(
    name: str,
    tag: str | None = "latest",
    *,
    layers: list[bytes] | None = None,
    config: bytes | None = None,
    **more: Any,
) -> Image:
    """Push an image: a config, a layer of fresh bytes (or `layers`), a manifest."""
    config = json.dumps({"id": uuid.uuid4().hex}).encode() if config is None else config
    layers = [content()] if layers is None else layers
    for body in (config, *layers):
        push_blob(name, body)
    return push_manifest(name, tag, document(config, layers, **more))


def push_index(name: str, tag: str | None, children: list[dict[str, Any]], **more: Any) -> Image:
    """Push an index of descriptors."""
    value = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_INDEX,
        "manifests": children,
        **more,
    }
    return push_manifest(name, tag, value)


def push_artifact(name: str, subject: Image, artifact_type: str, tag: str | None = None) -> Image:
    """Push something that refers to `subject`, as a signature does."""
    push_blob(name, EMPTY_CONFIG)
    value = {
        "schemaVersion": 2,
        "mediaType": media_types.OCI_MANIFEST,
        "artifactType": artifact_type,
        "config": descriptor(EMPTY_CONFIG, media_types.OCI_EMPTY),
        "layers": [descriptor(EMPTY_CONFIG, media_types.OCI_EMPTY)],
        "subject": subject.descriptor,
        "annotations": {"made.by": uuid.uuid4().hex},
    }
    return push_manifest(name, tag, value)
