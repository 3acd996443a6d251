"""What belongs to what tags point at, in one word each: for the badges of a list of tags.

By referrers, by the tags with which cosign ties a signature to an image, and by the attestations
that BuildKit lists in an index, whose statements say their kind in an annotation.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from registry import media_types
from registry.models import Manifest
from registry.services import tags
from registry.services.tag_details import TagDetails

COSIGN = "cosign."
"""What stands before ``sig``, ``att`` or ``sbom`` where it is found by a tag."""

_MAX_READ = 32 * 1024
"""Bytes of an index or attestation that is read. One of BuildKit's has a few thousand."""

_MAX_ATTESTATIONS = 200
"""Attestations that are read for one page."""

_MAX_TYPES = 5_000
"""Types of referrers that are read for one page, of all its tags."""

_PREDICATE = "in-toto.io/predicate-type"


def kinds(repository_id: int, shown: Sequence[TagDetails]) -> dict[str, list[str]]:
    """By digest the types of what belongs to some tags: of artifacts, of statements, cosign's."""
    found: dict[str, dict[str, None]] = defaultdict(dict)
    digests = list(dict.fromkeys(tag.digest for tag in shown))
    for subject, kind in _types_of_referrers(repository_id, digests):
        found[subject][kind] = None
    for tag in tags.signatures_of([(repository_id, digest) for digest in digests]):
        subject = tags.signed_by(tag.name) or ""
        found[subject][COSIGN + tag.name.rpartition(".")[2]] = None
    indexes = [tag.digest for tag in shown if tag.media_type in media_types.INDEXES]
    for subject, statements in _of_indexes(repository_id, indexes).items():
        found[subject] |= dict.fromkeys(statements)
    return {digest: [kind[:255] for kind in some] for digest, some in found.items()}


def _types_of_referrers(repository_id: int, digests: Sequence[str]) -> list[tuple[str, str]]:
    """Of manifests by digest the types of what refers to them, each once, however often."""
    rows = Manifest.objects.filter(
        repository_id=repository_id, subject_digest__in=digests, deleted_at=None
    )
    pairs = rows.order_by("subject_digest", "artifact_type").distinct()
    return [
        (str(subject), kind)
        for subject, kind in pairs.values_list("subject_digest", "artifact_type")[:_MAX_TYPES]
    ]


def _of_indexes(repository_id: int, indexes: Sequence[str]) -> dict[str, list[str]]:
    listed = {
        digest: attestations
        for digest, document in _documents(repository_id, indexes).items()
        if (attestations := _attestations(document))
    }
    wanted = [digest for some in listed.values() for digest in some][:_MAX_ATTESTATIONS]
    statements = {
        digest: _predicates(document)
        for digest, document in _documents(repository_id, dict.fromkeys(wanted)).items()
    }
    return {
        index: [kind for digest in some for kind in statements.get(digest, ())]
        for index, some in listed.items()
    }


def _documents(repository_id: int, digests: Iterable[str]) -> dict[str, Any]:
    rows = Manifest.objects.filter(
        repository_id=repository_id,
        digest__in=list(digests),
        deleted_at=None,
        size__lte=_MAX_READ,
    )
    # They were parsed before they were stored.
    return {
        digest: json.loads(bytes(body)) for digest, body in rows.values_list("digest", "payload")
    }


def _attestations(index: dict[str, Any]) -> list[str]:
    return [
        child["digest"]
        for child in index.get("manifests") or ()
        if (child.get("platform") or {}).get("os") == "unknown"
    ]


def _predicates(attestation: dict[str, Any]) -> list[str]:
    said = [(layer.get("annotations") or {}) for layer in attestation.get("layers") or ()]
    return [str(each[_PREDICATE]) for each in said if _PREDICATE in each]
