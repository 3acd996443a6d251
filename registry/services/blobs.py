"""Blobs: a repository's right to one, found, mounted, given and taken away."""

from __future__ import annotations

from dataclasses import dataclass

from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import Blob, Event, ManifestBlob, RepositoryBlob, Review, Tombstone
from registry.services import database, events, repositories
from registry.services.garbage import reviews
from registry.storage import chosen as storage

_FIND = """
SELECT l.id, b.size, v.id FROM registry_repository r
JOIN registry_blob b ON b.digest = %s
JOIN registry_repositoryblob l ON l.repository_id = r.id AND l.blob_id = b.id
LEFT JOIN registry_review v ON v.kind = 'link' AND v.target = l.id
WHERE r.name = %s AND r.closed_at IS NULL
"""


@dataclass(frozen=True, slots=True)
class FoundBlob:
    """A blob that a repository may serve."""

    digest: str
    size: int
    link_id: int
    is_up_for_review: bool


def find(name: str, digest: str) -> FoundBlob:
    """The blob `digest` of the repository `name`, in one query. Raises BLOB_UNKNOWN.

    A repository that does not exist gives the same answer as a blob that is not in it.
    """
    row = database.one(_FIND, [digest, name])
    if row is None:
        raise RegistryError(Code.BLOB_UNKNOWN, digest=digest)
    return FoundBlob(digest, row[1], row[0], row[2] is not None)


def promise(name: str, digest: str) -> FoundBlob:
    """As `find`, for somebody who may push and will rely on the answer.

    The bytes have to be in the store, so that a blob that was lost is uploaded again, and a blob
    that is up for review is protected for the grace. Raises BLOB_UNKNOWN.
    """
    found = find(name, digest)
    if storage.current().size(digest) != found.size:
        raise RegistryError(Code.BLOB_UNKNOWN, digest=digest)
    if found.is_up_for_review and not reviews.promise_link(found.link_id):
        # The collector took it between the two statements, or a manifest has just claimed it.
        return find(name, digest)
    return found


def grant(repository_id: int, digest: str, size: int) -> None:
    """Let a repository serve a blob whose bytes are about to be committed.

    To be called in the transaction that commits the bytes, before they are moved: the row of the
    blob is held from here on, and a tombstone of the digest is cleared, or waited for while its
    holder unlinks the old bytes. The right is protected for the grace.
    """
    blob = Blob(digest=digest, size=size)
    Blob.objects.bulk_create(
        [blob], update_conflicts=True, unique_fields=["digest"], update_fields=["size"]
    )
    Tombstone.objects.filter(digest=digest).delete()
    _link(repository_id, Blob.objects.only("pk").get(digest=digest).pk, "uploaded")


def _link(repository_id: int, blob_id: int, reason: str) -> None:
    RepositoryBlob.objects.bulk_create(
        [RepositoryBlob(repository_id=repository_id, blob_id=blob_id)], ignore_conflicts=True
    )
    link = RepositoryBlob.objects.only("pk").get(repository_id=repository_id, blob_id=blob_id)
    if not ManifestBlob.objects.filter(link=link).exists():
        reviews.queue(Review.Kind.LINK, [link.pk], reason)


def mount(name: str, digest: str, source: str, actor: Actor) -> bool:
    """Let `name` serve a blob that `source` has; whether that was possible.

    The caller has made sure that the actor may pull from `source`. False, and nothing changed,
    where the blob is not there or its bytes are not: the client then uploads it.
    """
    # Asked before the repository is held, since a store may take its time. Where a right is found
    # afterwards, nobody has removed the bytes in between: they go after the last right to them.
    size = storage.current().size(digest)
    with database.atomic():
        repository_id = repositories.hold_or_open(name, actor)
        source_id = repositories.find_id(source)
        held = database.one(
            "SELECT id, size FROM registry_blob WHERE digest = %s" + database.row_lock(), [digest]
        )
        if source_id is None or held is None:
            return False
        may = RepositoryBlob.objects.filter(repository_id=source_id, blob_id=held[0]).exists()
        if not may or size != held[1]:
            return False
        _link(repository_id, held[0], "mounted")
        events.record(Event.Action.MOUNT, name, actor, digest=digest, size=held[1])
        return True


def delete(name: str, digest: str, actor: Actor) -> None:
    """Take the right to a blob away; its bytes go with the last right to them.

    Raises BLOB_UNKNOWN, UNSUPPORTED, and DENIED where a manifest of the repository refers to it.
    """
    repositories.require_deletion()
    with database.atomic():
        if repositories.find_id(name) is not None:
            repositories.hold(name)
        row = database.one(_FIND, [digest, name])
        if row is None:
            raise RegistryError(Code.BLOB_UNKNOWN, digest=digest)
        if ManifestBlob.objects.filter(link_id=row[0]).exists():
            raise RegistryError(
                Code.DENIED,
                "a manifest of this repository refers to the blob",
                status=405,
                digest=digest,
            )
        blob_id = RepositoryBlob.objects.get(pk=row[0]).blob_id
        RepositoryBlob.objects.filter(pk=row[0]).delete()
        reviews.drop(Review.Kind.LINK, [row[0]])
        reviews.queue(Review.Kind.BLOB, [blob_id], "blob deleted")
        events.record(Event.Action.DELETE, name, actor, digest=digest, size=row[1])
