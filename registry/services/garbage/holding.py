"""What holds content, said once, for all that ask.

Judging, the forecast, the reasons, what a deletion frees, verification, and deletion on request.

Two questions, each with one answer here.

- **Is it held?** As long as a row holds it, the collector leaves it alone. A manifest is held by an
  open tag, and where it was not deleted by an index that lists it, by its subject, or by a
  repository that keeps untagged manifests. The right to a blob is held by whatever names the blob:
  a manifest that refers to the right, or one that lists the digest. An index may list anything, so
  what it lists is held both as manifest and as blob, whichever comes first. Windows and promises
  come on top: see `judging.windows_of` and `reviews`.
- **Is it needed by something live?** A live manifest was not deleted and leads up, by the indexes
  that list it and by its subject, to an open tag. What a live manifest names is not deleted on
  request; what only others name may go.

The functions that take ids also take an `OuterRef`, so that one definition serves a single row, the
simulation of a dry run and the query for a whole batch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from registry.models import Manifest, ManifestBlob, ManifestChild, Tag
from registry.services import database

MOST = 500
"""Manifests that a search for something live looks at; what has more above it counts as live."""

LIVE_BLOB = """
(EXISTS (
    SELECT 1 FROM registry_manifestblob u
    JOIN registry_manifest m ON m.id = u.manifest_id AND m.deleted_at IS NULL
    WHERE u.link_id = l.id
) OR EXISTS (
    SELECT 1 FROM registry_manifestchild c
    JOIN registry_manifest m ON m.id = c.parent_id AND m.deleted_at IS NULL
    WHERE c.repository_id = l.repository_id AND c.digest = b.digest
))
"""
"""SQL: whether a manifest that was not deleted names the blob `b` through the right `l`."""

_RIGHTS = """
WITH named (repository_id, digest) AS (VALUES {holes})
SELECT (
    SELECT l.id FROM registry_repositoryblob l WHERE l.repository_id = named.repository_id
    AND l.blob_id = (SELECT b.id FROM registry_blob b WHERE b.digest = named.digest)
) FROM named
"""
_BATCH = 300
"""Pairs in a query: twice as many parameters are taken by every engine."""


# What holds a manifest


def open_tags(manifest_id: Any) -> QuerySet[Tag]:
    """The tags that point at a manifest."""
    return Tag.objects.filter(manifest_id=manifest_id, ended_at=None)


def listings(repository_id: Any, digest: Any) -> QuerySet[ManifestChild]:
    """The rows by which manifests of a repository list a digest."""
    return ManifestChild.objects.filter(repository_id=repository_id, digest=digest)


def subjects(repository_id: Any, subject_digest: Any) -> QuerySet[Manifest]:
    """The manifest that a referrer has as its subject; none where that is not here."""
    return Manifest.objects.filter(repository_id=repository_id, digest=subject_digest)


def held_manifests() -> Q:
    """The condition of manifests that are held in an open repository."""
    repository_id = OuterRef("repository_id")
    tag = open_tags(OuterRef("pk"))
    index = listings(repository_id, OuterRef("digest")).exclude(parent_id=OuterRef("pk"))
    subject = subjects(repository_id, OuterRef("subject_digest")).exclude(pk=OuterRef("pk"))
    keeps = Q(repository__collect_untagged=False)
    return Q(Exists(tag)) | (Q(deleted_at=None) & (keeps | Q(Exists(index)) | Q(Exists(subject))))


# What holds the right to a blob


def references(link_id: Any) -> QuerySet[ManifestBlob]:
    """The rows by which manifests refer to a right."""
    return ManifestBlob.objects.filter(link_id=link_id)


def held_links() -> Q:
    """The condition of rights to blobs that are held in an open repository."""
    named = listings(OuterRef("repository_id"), OuterRef("blob__digest"))
    return Q(Exists(references(OuterRef("pk")))) | Q(Exists(named))


def naming(repository_id: int, digest: str, link_id: int) -> QuerySet[Any]:
    """The ids of the manifests that name a blob, in order: by its right or in a list."""
    referring = references(link_id).values_list("manifest_id", flat=True)
    listing = listings(repository_id, digest).values_list("parent_id", flat=True)
    return referring.union(listing).order_by("manifest_id")


# What a removal leaves without a holder, maybe


@dataclass(frozen=True)
class Dependents:
    """What manifests name: the ids of rights to blobs, and of manifests (their referrers too)."""

    links: set[int]
    manifests: set[int]


def dependents(gone: Sequence[tuple[int, int, str]]) -> Dependents:
    """What is to be looked at once manifests have gone, given as id, repository's id and digest.

    To be asked before their rows are removed. They may be among the answer themselves.
    """
    links: set[int] = set()
    listed: set[tuple[int, str]] = set()
    for some in _batches([pk for pk, _, _ in gone]):
        links.update(
            ManifestBlob.objects.filter(manifest_id__in=some).values_list("link_id", flat=True)
        )
        listed.update(
            ManifestChild.objects.filter(parent_id__in=some).values_list("repository_id", "digest")
        )
    pairs = sorted(listed)
    links.update(links_of(pairs))
    here = [(repository_id, digest) for _, repository_id, digest in gone]
    return Dependents(
        links,
        {
            *database.ids_of_pairs("registry_manifest", "subject_digest", here),
            *database.ids_of_pairs("registry_manifest", "digest", pairs),
        },
    )


def weight(manifests: Sequence[int], limit: int) -> int:
    """How many rows `dependents` would read for manifests of one repository; at most `limit` + 1.

    They are given by id.
    """
    found = 0
    for some in _batches(list(manifests)):
        for rows in (
            ManifestBlob.objects.filter(manifest_id__in=some),
            ManifestChild.objects.filter(parent_id__in=some),
            Manifest.objects.filter(
                repository_id__in=Manifest.objects.filter(pk=some[0]).values("repository_id"),
                subject_digest__in=Manifest.objects.filter(pk__in=some).values("digest"),
            ),
        ):
            found += rows[: limit + 1 - found].count()
            if found > limit:
                return found
    return found


def links_of(pairs: Sequence[tuple[int, str]]) -> Iterator[int]:
    """The ids of the rights to blobs, given as a repository's id and a digest."""
    for some in _batches(pairs):
        sql = _RIGHTS.format(holes=", ".join(["(%s, %s)"] * len(some)))
        found = database.column(sql, [value for pair in some for value in pair])
        yield from (link_id for link_id in found if link_id is not None)


def _batches(values: Sequence[Any]) -> Iterator[Sequence[Any]]:
    for start in range(0, len(values), _BATCH):
        yield values[start : start + _BATCH]


# What is live


@dataclass(frozen=True, slots=True)
class LiveHolder:
    """The manifest that names something, and the tag that it leads up to.

    `tag` is empty where more lies above than was looked at.
    """

    digest: str
    tag: str

    def __str__(self) -> str:
        if not self.tag:
            return f"the manifest {self.digest}, and more than {MOST} others above it"
        return f"the manifest {self.digest}, which the tag {self.tag} holds"


@dataclass
class _Walk:
    """A walk upwards in one repository, level by level; what is seen remembers where it began."""

    repository_id: int
    began: dict[int, str] = field(default_factory=dict)
    """By id of a manifest the digest of the first one on the way to it."""

    def up(self, ids: Iterable[int]) -> LiveHolder | None:
        """The first live manifest among those with `ids`, or above them."""
        here = Manifest.objects.filter(repository_id=self.repository_id, deleted_at=None)
        rows = list(here.filter(pk__in=list(ids)).values_list("pk", "digest", "subject_digest"))
        level = [(pk, digest, subject, digest) for pk, digest, subject in rows]
        while level:
            self.began |= {pk: first for pk, _, _, first in level}
            tags = Tag.objects.filter(
                manifest_id__in=[pk for pk, *_ in level], ended_at=None
            ).order_by("name")
            tag = tags.values_list("manifest_id", "name").first()
            if tag is not None and tag[0] is not None:
                return LiveHolder(self.began[tag[0]], tag[1])
            if len(self.began) > MOST:
                return LiveHolder(level[0][3], "")
            level = list(self._above(level))
        return None

    def _above(
        self, level: list[tuple[int, str, str | None, str]]
    ) -> Iterator[tuple[int, str, str | None, str]]:
        by_digest = {digest: first for _, digest, _, first in level}
        indexes = ManifestChild.objects.filter(
            repository_id=self.repository_id,
            digest__in=list(by_digest),
            parent__deleted_at=None,
        ).values_list("parent_id", "parent__digest", "parent__subject_digest", "digest")
        by_subject = {subject: first for _, _, subject, first in level if subject}
        above = Manifest.objects.filter(
            repository_id=self.repository_id, digest__in=list(by_subject), deleted_at=None
        ).values_list("pk", "digest", "subject_digest")
        firsts = [(pk, digest, s, by_digest[child]) for pk, digest, s, child in indexes[: MOST + 1]]
        firsts += [(pk, digest, s, by_subject[digest]) for pk, digest, s in above]
        found = {pk: (pk, digest, s, first) for pk, digest, s, first in firsts}
        yield from (row for pk, row in found.items() if pk not in self.began)


def live_index_of(repository_id: int, digest: str) -> LiveHolder | None:
    """A live manifest that lists the manifest `digest`; None where it may be deleted."""
    ids = listings(repository_id, digest).values_list("parent_id", flat=True)
    return _Walk(repository_id).up(ids[: MOST + 1])


def live_manifest_of(repository_id: int, digest: str, link_id: int) -> LiveHolder | None:
    """A live manifest that names the blob `digest`; None where it may be deleted."""
    return _Walk(repository_id).up(naming(repository_id, digest, link_id)[: MOST + 1])
