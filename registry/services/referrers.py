"""Referrers: the manifests that name another one as their subject."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from registry.models import Manifest
from registry.services import repositories

MAX_READ = 512 * 1024
"""Bytes of a manifest whose annotations are told. Of a larger one the manifest itself tells them:
it would take up to its own size, for each of a page, and many times that in memory."""

MAX_READ_FOR_A_PAGE = 4 * 1024 * 1024
"""Bytes of manifests that are read for one page."""

_BATCH = 500


@dataclass(frozen=True)
class Page:
    """Descriptors in order of digest, which are made as they are taken, and whether others follow.

    Where the manifests are large, fewer than were asked for. There is always one where there are
    any. `size` is that of the manifests, in bytes.
    """

    descriptors: Iterator[dict[str, Any]] = field(default_factory=lambda: iter(()))
    has_more: bool = False
    size: int = 0


def page(name: str, digest: str, artifact_type: str, last: str, limit: int) -> Page:
    """Up to `limit` descriptors of the referrers of `digest` after the digest `last`.

    A subject that nobody has pushed may have referrers, and an unknown repository has none.
    """
    repository_id = repositories.find_id(name)
    if repository_id is None:
        return Page()
    rows = _rows(repository_id, digest, limit, artifact_type, last)
    read = _fitting(rows[:limit])
    payloads = _payloads(read)
    return Page(
        (_descriptor(row, payloads) for row in read),
        len(read) < len(rows),
        sum(map(len, payloads.values())),
    )


def tree(repository_id: int, digest: str, limit: int, *, below: int, each: int) -> Page:
    """Up to `limit` referrers of `digest`, and behind them, of the first `below`, up to `each` of
    their own. A descriptor says its ``subject`` too. `Page.has_more` is about those of `digest`.
    """
    rows = _rows(repository_id, digest, limit)
    listed = rows[:limit]
    under = [
        row for above in listed[:below] for row in _rows(repository_id, above.digest, each)[:each]
    ]
    read = _fitting([*listed, *under])
    payloads = _payloads(read)
    return Page(
        (_descriptor(row, payloads) | {"subject": row.subject_digest} for row in read),
        len(rows) > limit or len(read) < len(listed),
        sum(map(len, payloads.values())),
    )


def _rows(
    repository_id: int, digest: str, limit: int, artifact_type: str = "", last: str = ""
) -> list[Manifest]:
    """Referrers without their bytes, one more than `limit` where there are more."""
    found = Manifest.objects.filter(
        repository_id=repository_id, subject_digest=digest, deleted_at=None
    )
    if artifact_type:
        found = found.filter(artifact_type=artifact_type)
    if last:
        found = found.filter(digest__gt=last)
    columns = ("pk", "digest", "media_type", "artifact_type", "size", "subject_digest")
    return list(found.order_by("digest").only(*columns)[: limit + 1])


def _fitting(rows: list[Manifest]) -> list[Manifest]:
    """The first of `rows`: as many as are read for one page."""
    left = MAX_READ_FOR_A_PAGE
    for position, row in enumerate(rows):
        left -= row.size if row.size <= MAX_READ else 0
        if left < 0:
            return rows[:position]
    return rows


def _payloads(read: list[Manifest]) -> dict[int, bytes]:
    """By id the bytes of manifests; those that went a moment ago are left out, and large ones."""
    ids = [row.pk for row in read if row.size <= MAX_READ]
    found: dict[int, bytes] = {}
    for start in range(0, len(ids), _BATCH):
        rows = Manifest.objects.filter(pk__in=ids[start : start + _BATCH])
        found |= {pk: bytes(payload) for pk, payload in rows.values_list("pk", "payload")}
    return found


def _descriptor(manifest: Manifest, payloads: dict[int, bytes]) -> dict[str, Any]:
    descriptor: dict[str, Any] = {
        "mediaType": manifest.media_type,
        "digest": manifest.digest,
        "size": manifest.size,
    }
    if manifest.artifact_type:
        descriptor["artifactType"] = manifest.artifact_type
    annotations = json.loads(payloads.get(manifest.pk, b"{}")).get("annotations")
    if annotations:
        descriptor["annotations"] = annotations
    return descriptor
