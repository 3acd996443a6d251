"""What is asked about manifests by digest, many at once: for the pages of an index and of an image.

A digest that an image does not have has no details, whoever else has it.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from registry.models import Manifest, ManifestBlob, ManifestChild, Repository, RepositoryBlob
from registry.visible import Visible

MAX_AT_ONCE = 200
MAX_REPOSITORIES = 100
"""Repositories that are looked through for a layer. Where more are visible nobody is told."""

MAX_PLATFORMS = 8
"""Platforms that are told of each, with how many there are."""

_LARGE = 32 * 1024
"""Bytes of a manifest whose platforms are not told here: it may name ten thousand."""

MAX_PARTS = 128
"""Blobs, or children, of a manifest that are told of it. Clients take images of 127 layers."""

MAX_NAMES = 5
"""Names that are told of those that have a layer."""


@dataclass(frozen=True)
class ManifestDetails:
    """`size` in bytes of what it refers to; `created_at` is what the image says of itself."""

    digest: str
    media_type: str
    artifact_type: str
    config_digest: str
    subject: str
    size: int
    created_at: dt.datetime | None
    pushed_at: dt.datetime
    pushed_by: str
    platforms: list[dict[str, str]]
    platforms_count: int


def of(repository_id: int, digests: Sequence[str]) -> list[ManifestDetails]:
    """Of those that are here, in the order asked for. At most `MAX_AT_ONCE` are asked for."""
    rows = Manifest.objects.filter(
        repository_id=repository_id, digest__in=digests, deleted_at=None
    ).defer("payload", "platforms")
    found = {row.digest: row for row in rows}
    small = [row.pk for row in found.values() if row.size <= _LARGE]
    named = dict(Manifest.objects.filter(pk__in=small).values_list("pk", "platforms"))
    return [
        _details(found[digest], named.get(found[digest].pk) or [])
        for digest in digests
        if digest in found
    ]


def _details(row: Manifest, platforms: list[dict[str, str]]) -> ManifestDetails:
    return ManifestDetails(
        digest=row.digest,
        media_type=row.media_type,
        artifact_type=row.artifact_type,
        config_digest=row.config_digest,
        subject=row.subject_digest or "",
        size=row.content_size,
        created_at=row.image_created_at,
        pushed_at=row.pushed_at,
        pushed_by=row.pushed_by,
        platforms=platforms[:MAX_PLATFORMS],
        platforms_count=len(platforms),
    )


@dataclass(frozen=True)
class Parts:
    """Up to `MAX_PARTS` of the blobs that a manifest names and are here, and of what it lists.

    `has_config`: the repository may serve its configuration.
    """

    blobs: list[str]
    children: list[str]
    has_config: bool

    @property
    def is_whole(self) -> bool:
        """Whether there are no more of either."""
        return len(self.blobs) < MAX_PARTS and len(self.children) < MAX_PARTS


def parts_of(repository_id: int, digest: str) -> Parts | None:
    """What a manifest consists of, None where it is not here."""
    row = Manifest.objects.filter(repository_id=repository_id, digest=digest, deleted_at=None)
    found = row.values_list("pk", "config_digest").first()
    if found is None:
        return None
    pk, config = found
    links = ManifestBlob.objects.filter(manifest_id=pk, link__deleted_at=None)
    blobs = list(links.values_list("link__blob__digest", flat=True)[:MAX_PARTS])
    children = ManifestChild.objects.filter(parent_id=pk).values_list("digest", flat=True)
    has_config = config in blobs or (
        len(blobs) == MAX_PARTS and links.filter(link__blob__digest=config).exists()
    )
    return Parts(blobs, list(children[:MAX_PARTS]), has_config)


@dataclass(frozen=True)
class SharedBlob:
    """How many other repositories have a blob, and the names of the first of them."""

    digest: str
    count: int
    names: list[str]


def shared(repository_id: int, digests: Sequence[str], visible: Visible) -> list[SharedBlob] | None:
    """Those of an image's blobs that other `visible` repositories may serve too.

    None where so many repositories are visible that it would cost too much.
    """
    open_now = Repository.objects.filter(visible.where("name"), closed_at=None)
    others = dict(
        open_now.exclude(pk=repository_id).values_list("pk", "name")[: MAX_REPOSITORIES + 1]
    )
    if len(others) > MAX_REPOSITORIES:
        return None
    rows = RepositoryBlob.objects.filter(
        repository_id__in=others, blob__digest__in=digests, deleted_at=None
    )
    having: dict[str, list[str]] = {}
    for digest, other in rows.values_list("blob__digest", "repository_id"):
        having.setdefault(digest, []).append(others[other])
    return [
        SharedBlob(digest, len(having[digest]), sorted(having[digest])[:MAX_NAMES])
        for digest in dict.fromkeys(digests)
        if digest in having
    ]
