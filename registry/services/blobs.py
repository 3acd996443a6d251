"""Blobs: a repository's right to one, found, mounted, given and taken away."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass

from django.utils import timezone

from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import Event, RepositoryBlob, Review
from registry.quotas import NO_QUOTAS, Quotas
from registry.services import cursors, database, events, repositories, revocations, usage
from registry.services.garbage import holding, reviews
from registry.storage import chosen as storage

# Both ids are found before the right is, so that no planner reads all rights of a repository: it
# knows how many an average one has, and one may have a hundred thousand.
_WHICH = """
WHERE l.blob_id = (SELECT id FROM registry_blob WHERE digest = %s)
AND l.repository_id = (SELECT id FROM registry_repository WHERE name = %s AND closed_at IS NULL)
"""
_FIND = f"""
SELECT l.id, b.size, v.due_at, l.repository_id, b.id, l.deleted_at, {revocations.LATEST}
FROM registry_repositoryblob l JOIN registry_blob b ON b.id = l.blob_id
LEFT JOIN registry_review v ON v.kind = 'link' AND v.target = l.id {_WHICH}
"""
# No blob is held before the repository that it is mounted into: one that is not there yet is opened
# first, and others hold the two in that order.
_TO_MOUNT = f"""{_FIND}
AND EXISTS (SELECT 1 FROM registry_repository WHERE name = %s AND closed_at IS NULL)
"""
_PUT = """
INSERT INTO registry_blob (digest, size, created_at) VALUES (%s, %s, %s)
ON CONFLICT (digest) DO UPDATE SET size = excluded.size
"""
_GIVE = """
INSERT INTO registry_repositoryblob (repository_id, blob_id, created_at)
SELECT {values} ON CONFLICT (repository_id, blob_id) DO UPDATE SET deleted_at = NULL
"""
_LINK = _GIVE.format(values="%s, id, %s FROM registry_blob WHERE digest = %s")
_FROM_SOURCE = """
r.id, source.id, %s FROM source, registry_repository r WHERE r.name = %s AND r.closed_at IS NULL
AND r.project_id IS NOT DISTINCT FROM COALESCE(%s, r.project_id)
"""
# What `mount` asks and does, where all of it is plain: whoever is not the project's, a right that
# was deleted and a revocation that is new leave it without a row. The order of locks is the same.
_MOUNT = f"""
WITH source AS MATERIALIZED (
    SELECT b.id FROM registry_repositoryblob l JOIN registry_blob b ON b.id = l.blob_id {_WHICH}
    AND l.deleted_at IS NULL AND b.size = %s AND {revocations.LATEST} IS NOT DISTINCT FROM %s
    AND EXISTS (SELECT 1 FROM registry_repository WHERE name = %s AND closed_at IS NULL)
    FOR NO KEY UPDATE OF b
), l AS (
    {_GIVE.format(values=_FROM_SOURCE)} RETURNING id
), review AS ({reviews.QUEUE_DANGLING_OF.format(rights="l WHERE true")})
{events.RECORD_FOR_EACH} l
"""
_RIGHT = (
    "(SELECT {column} FROM registry_repositoryblob WHERE repository_id = r.id AND blob_id = b.id)"
)
_BY_NAME = "r.name = %s AND r.closed_at IS NULL"
_BY_ID = "r.id = %s"
_HERE = f"""
SELECT b.digest, b.size, {_RIGHT.format(column="id")}, r.id, {_RIGHT.format(column="deleted_at")}
FROM registry_repository r, registry_blob b
WHERE {{repository}} AND b.digest IN ({{holes}})
"""
_BATCH = 500


@dataclass(frozen=True, slots=True)
class FoundBlob:
    """A blob that a repository may serve."""

    digest: str
    size: int
    link_id: int
    review_at: dt.datetime | None
    """When the collector looks whether it is still needed; None where that is known."""


def find(name: str, digest: str) -> FoundBlob:
    """The blob `digest` of the repository `name`, in one query. Raises BLOB_UNKNOWN.

    A repository that does not exist gives the same answer as a blob that is not in it, and as one
    that was deleted.
    """
    return found(name, digest, database.one(*finding(name, digest)))


def finding(name: str, digest: str) -> database.Statement:
    """The query whose first row says, to `found`, which blob it is."""
    return _FIND, [digest, name]


def found(name: str, digest: str, row: database.Row | None) -> FoundBlob:
    """The blob that the query of `finding` has found. Raises as `find`."""
    row = _checked(digest, row)
    revocations.notice(row[6])
    return FoundBlob(digest, row[1], row[0], database.moment(row[2]) if row[2] else None)


def _checked(digest: str, row: database.Row | None) -> database.Row:
    """`row`, where it is of a blob that is there. Raises BLOB_UNKNOWN."""
    if row is None:
        revocations.notice_without_a_row()
    if row is None or (row[5] is not None and not _is_back(row[3], digest, row[0])):
        raise RegistryError(Code.BLOB_UNKNOWN, digest=digest)
    return row


def _is_back(repository_id: int, digest: str, link_id: int) -> bool:
    """Whether a deleted blob is needed again, since undo has brought back what names it."""
    return holding.live_manifest_of(repository_id, digest, link_id) is not None


class LinksHere:
    """The rights to some blobs that a repository has, by its name or id, asked of a `send`."""

    def __init__(
        self, repository: str | int, digests: Iterable[str], send: database.Together
    ) -> None:
        names = list(digests)
        which = _BY_NAME if isinstance(repository, str) else _BY_ID
        self._sent = []
        for start in range(0, len(names), _BATCH):
            some = names[start : start + _BATCH]
            sql = _HERE.format(repository=which, holes=", ".join(["%s"] * len(some)))
            self._sent.append(send(sql, [repository, *some]))

    def by_digest(self) -> dict[str, tuple[int, int]]:
        """By digest the right to each blob that is here, and its size in bytes. To be asked once,
        in a transaction that holds the repository.
        """
        return {
            digest: (link_id, size)
            for sent in self._sent
            for digest, size, link_id, repository_id, deleted_at in sent.rows
            if link_id is not None
            and (deleted_at is None or _is_back(repository_id, digest, link_id))
        }


def links_here(repository_id: int, digests: Iterable[str]) -> dict[str, tuple[int, int]]:
    """As `LinksHere.by_digest`, for who asks nothing else."""
    with database.together() as send:
        asked = LinksHere(repository_id, digests, send)
    return asked.by_digest()


def promise(name: str, digest: str) -> FoundBlob:
    """As `find`, for somebody who may push and will rely on the answer.

    The bytes have to be in the store, so that a blob that was lost is uploaded again, and a blob
    that is up for review is protected for the grace. Raises BLOB_UNKNOWN.
    """
    found = find(name, digest)
    if not is_stored(found):
        raise RegistryError(Code.BLOB_UNKNOWN, digest=digest)
    if not is_promised(found) and not reviews.promise_link(found.link_id):
        # The collector took it between the two statements, or a manifest has just claimed it.
        return find(name, digest)
    return found


def is_stored(found: FoundBlob) -> bool:
    """Whether all of its bytes are in the store."""
    return storage.current().size(found.digest) == found.size


def is_promised(found: FoundBlob) -> bool:
    """Whether it stays for about the grace as it is, so that nothing is to be written for that:
    docker asks for each blob that it has just uploaded.
    """
    return found.review_at is None or reviews.is_far(found.review_at)


def grant(
    repository_id: int,
    digest: str,
    size: int,
    send: database.Together,
    quotas: Quotas = NO_QUOTAS,
) -> usage.Addition:
    """Let a repository serve a blob whose bytes are about to be committed.

    To be called in the transaction that commits the bytes, before they are moved: the row of the
    blob is held from here on, and a tombstone of the digest is cleared, or waited for while its
    holder unlinks the old bytes. The right is protected for the grace. All of it is sent together;
    what is given refuses, when it is done, what does not fit into `quotas`.
    """
    added = usage.Addition(quotas, repository_id, digest)
    usage.announce(quotas, send)
    send(_PUT, [digest, size, timezone.now()])
    send("DELETE FROM registry_tombstone WHERE digest = %s", [digest])
    added.count(send)
    _link(repository_id, digest, "uploaded", send)
    return added


def _link(repository_id: int, digest: str, reason: str, send: database.Together) -> None:
    send(_LINK, [repository_id, timezone.now(), digest])
    reviews.queue_dangling(repository_id, digest, reason, send)


def mount(name: str, digest: str, source: str, actor: Actor) -> bool:
    """Let `name` serve a blob that `source` has; whether that was possible.

    The caller has made sure that the actor may pull from `source`. False, and nothing changed,
    where the blob is not there or its bytes are not: the client then uploads it. Raises DENIED
    where it is new below a path whose quota has no room, and `revocations.News`.
    """
    # Asked before the repository is held, since a store may take its time. Where a right is found
    # afterwards, nobody has removed the bytes in between: they go after the last right to them.
    size = storage.current().size(digest)
    is_plain = size is not None and not actor.quotas and database.can_write_in_a_query()
    if is_plain and _mount_at_once(name, digest, source, actor, size or 0):
        return True
    # So that what is used is counted from here on.
    usage.room(actor.quotas)

    def ask(send: database.Together) -> database.Sent:
        usage.announce(actor.quotas, send)
        return send(_TO_MOUNT + database.row_lock("b"), [digest, source, name])

    with database.atomic():
        repository_id, found = repositories.hold_and_ask(name, actor, ask)
        held = found.row
        if held is None:
            revocations.notice_without_a_row()
            return False
        link_id, found_size, _, source_id, _, deleted_at, latest = held
        revocations.notice(latest)
        if size is None or found_size != size:
            return False
        if deleted_at is not None and not _is_back(source_id, digest, link_id):
            return False
        added = usage.Addition(actor.quotas, repository_id, digest)
        with database.together(commits=not actor.quotas) as send:
            added.count(send)
            _link(repository_id, digest, "mounted", send)
            events.record(Event.Action.MOUNT, name, actor, digest=digest, size=size, send=send)
        added.refuse(size)
        return True


def _mount_at_once(name: str, digest: str, source: str, actor: Actor, size: int) -> bool:
    """`mount` in one round trip, with the commit; False, and nothing changed, where it can't say
    that all is as it mostly is. For who has no quotas.
    """
    asked = [digest, source, size, revocations.known(), name]
    given = [timezone.now(), name, actor.project_id]
    review = reviews.of_dangling("mounted")
    event = events.values(Event.Action.MOUNT, name, actor, digest=digest, size=size)
    with database.atomic(), database.together(commits=True) as send:
        repositories.hold_open_name(name, send)
        cursors.announce(Event, send)
        mounted = send(_MOUNT, [*asked, *given, *review, *event])
    return mounted.count > 0


def delete(name: str, digest: str, actor: Actor) -> None:
    """Take the right to a blob away; its bytes go with the last right to them.

    For clients it is gone at once. Where manifests name it that nothing live needs, it is kept
    aside for as long as they are, since undo may bring them back.

    Raises BLOB_UNKNOWN, UNSUPPORTED, and DENIED (405), which names the manifest in the way, where a
    live manifest of the repository needs it.
    """
    repositories.require_deletion()
    with database.atomic():
        if repositories.find_id(name) is not None:
            repositories.hold(name)
        link_id, size, _, repository_id, blob_id, *_ = _checked(
            digest, database.one(*finding(name, digest))
        )
        holder = holding.live_manifest_of(repository_id, digest, link_id)
        if holder is not None:
            raise RegistryError(
                Code.DENIED,
                f"{holder}, refers to the blob",
                status=405,
                digest=digest,
                holder=holder.digest,
            )
        link = RepositoryBlob.objects.filter(pk=link_id)
        if link.filter(holding.held_links()).exists():
            link.update(deleted_at=timezone.now())
        else:
            link.delete()
            usage.removed([(repository_id, name, blob_id)])
            reviews.drop(Review.Kind.LINK, [link_id])
            reviews.queue(Review.Kind.BLOB, [blob_id], "blob deleted")
        events.record(Event.Action.DELETE, name, actor, digest=digest, size=size)
