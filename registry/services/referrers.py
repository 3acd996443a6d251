"""Referrers: the manifests that name another one as their subject."""

from __future__ import annotations

import json
from typing import Any

from registry.models import Manifest
from registry.services import repositories


def page(name: str, digest: str, artifact_type: str, last: str, limit: int) -> list[dict[str, Any]]:
    """Descriptors of the referrers of `digest` after the digest `last`, one more than `limit`.

    A subject that nobody has pushed may have referrers, and an unknown repository has none.
    """
    repository_id = repositories.find_id(name)
    if repository_id is None:
        return []
    found = Manifest.objects.filter(
        repository_id=repository_id, subject_digest=digest, deleted_at=None
    )
    if artifact_type:
        found = found.filter(artifact_type=artifact_type)
    if last:
        found = found.filter(digest__gt=last)
    return [_descriptor(manifest) for manifest in found.order_by("digest")[: limit + 1]]


def _descriptor(manifest: Manifest) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": manifest.size,
    }
    if manifest.artifact_type:
        descriptor["artifactType"] = manifest.artifact_type
    annotations = json.loads(bytes(manifest.payload)).get("annotations")
    if annotations:
        descriptor["annotations"] = annotations
    return descriptor
