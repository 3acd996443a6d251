"""Uploads: sessions, their parts, and the commit that makes a blob.

An upload is written and hashed as it streams. Where one request carried all of it, the digest is
known at the commit; otherwise the parts are read again, since the state of a hash can't be stored.
Bytes are durable before the row that counts them, and in place before the row that names them.

A session is what its address says, until something of it has to be remembered: a part, its end, or
that it was cancelled. So opening one writes nothing, and an upload in two requests is one commit.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import itertools
import uuid
from collections.abc import Iterable

from django.conf import settings
from django.utils import timezone

from registry import crash_points
from registry import digest as digests
from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import UploadSession
from registry.services import (
    blobs,
    database,
    repositories,
    revocations,
    upload_limits,
    upload_parts,
    usage,
)
from registry.storage import chosen as storage
from registry.storage.base import Chunk, Part, StorageUnavailable

_CANCELLED = "cancelled"
"""In the place of the digest of what was committed: no digest is this."""

# By its id and never by an index of the repository's, which may have thousands under way.
_FIND = f"""
SELECT s.opened_by, s.algorithm, s."offset", s.committed_digest, s.expires_at,
{revocations.LATEST}, CASE WHEN s.id IS NULL THEN (SELECT 1 FROM registry_uploadsession o
WHERE o.opened_by = %s AND o.committed_digest = '' AND o.expires_at > %s LIMIT 1 OFFSET %s) END
FROM registry_repository r LEFT JOIN registry_uploadsession s
ON s.id = %s AND s.repository_id + 0 = r.id
WHERE r.id = %s AND r.name = %s AND r.closed_at IS NULL
"""
_OPEN = """
INSERT INTO registry_uploadsession
(id, repository_id, opened_by, algorithm, "offset", committed_digest, created_at, expires_at)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s) ON CONFLICT (id) DO NOTHING
"""
_MOVE = """
UPDATE registry_uploadsession SET "offset" = %s, committed_digest = %s, expires_at = %s
WHERE id = %s AND "offset" = %s AND committed_digest = ''
"""


def start(name: str, actor: Actor, algorithm: str = digests.SHA256) -> UploadSession:
    """A session for an upload into the repository `name`, which a first push opens. No row yet.

    `algorithm` is that of the digest which is to come: so the bytes are hashed as they come. It
    binds nobody. Raises DIGEST_INVALID, DENIED where a quota has no room at all, and
    `revocations.News`.
    """
    digests.check_algorithm(algorithm)
    usage.room(actor.quotas).refuse(1)
    repository_id = repositories.find_for_push(name, actor)
    if repository_id is None:
        with database.atomic():
            repository_id = repositories.hold_or_open(name, actor)
    session = UploadSession(
        repository_id=repository_id,
        opened_by=actor.name,
        algorithm=algorithm,
        expires_at=timezone.now() + settings.REGISTRY_UPLOAD_EXPIRY,
    )
    session.quotas = actor.quotas
    return session


def find(name: str, told: UploadSession, actor: Actor) -> UploadSession:
    """The session as it stands, where it belongs to this repository and to this actor.

    `told` is what its address says of it, which is all where nothing of it was kept yet.
    Raises BLOB_UPLOAD_UNKNOWN, and `revocations.News`.
    """
    most = settings.REGISTRY_UPLOADS_PER_PERSON
    others = [actor.name, timezone.now(), max(most - 1, 0)]
    row = database.changed(_FIND, [*others, told.pk, told.repository_id, name])
    if row is None:
        revocations.notice_without_a_row()
        raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN)
    opened_by, algorithm, offset, committed_digest, expires_at, latest, others_fill_up = row
    revocations.notice(latest)
    if algorithm is not None:
        told = UploadSession(
            id=told.pk,
            repository_id=told.repository_id,
            opened_by=opened_by,
            algorithm=algorithm,
            offset=offset,
            committed_digest=committed_digest,
            expires_at=database.moment(expires_at),
        )
        told._state.adding = False  # noqa: SLF001 - as Django does for what it has read
    is_over = told.expires_at <= timezone.now() or told.committed_digest == _CANCELLED
    if is_over or told.opened_by != actor.name:
        raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN)
    told.quotas, told.is_one_too_many = actor.quotas, others_fill_up is not None and most > 0
    return told


def store_whole(
    name: str, digest: str, chunks: Iterable[Chunk], actor: Actor, announced: int | None = None
) -> None:
    """Make a blob of the repository `name` of what has come in one request (end-4b).

    `announced` is how many bytes the client says there are. What is refused leaves nothing, not
    even a repository that this would have opened.

    Raises DIGEST_INVALID, SIZE_INVALID, DENIED, and `revocations.News` before anything was read.
    """
    digests.check(digest)
    repositories.find_for_push(name, actor)
    upload_limits.require_room(0, announced)
    usage.room(actor.quotas).refuse(announced or 1, digest)
    store, folder = storage.current(), uuid.uuid4()
    try:
        algorithm = digests.algorithm_of(digest)
        whole = store.write(
            folder, upload_limits.limited(chunks, 0, actor.quotas, digest), algorithm, durable=False
        )
        if whole.digest != digest:
            raise RegistryError(Code.DIGEST_INVALID, digest=digest)
        # What takes long is done here: the transaction holds its repository.
        store.stage(folder, whole, digest)
        with database.atomic():
            repository_id = repositories.hold_or_open(name, actor)
            with database.together() as send:
                added = blobs.grant(repository_id, digest, whole.size, send, actor.quotas)
            added.refuse(whole.size)
            _put_in_place(folder, whole, digest)
    except BaseException:
        with contextlib.suppress(StorageUnavailable):
            store.discard(folder)
        raise
    crash_points.reached("blob_committed")
    store.discard(folder)


def append(
    session: UploadSession,
    chunks: Iterable[Chunk],
    start: int | None,
    announced: int | None = None,
) -> None:
    """Add `chunks` at the end of the upload; `session` then has the new offset.

    `start` is where the client believes the end to be, `announced` how many bytes it says that
    there are; each None where it did not say. Of two clients that append at once one wins, and the
    other is told where the upload stands.

    Raises RANGE_INVALID, BLOB_UPLOAD_UNKNOWN, SIZE_INVALID, TOOMANYREQUESTS, and DENIED where a
    quota has no room for it, as far as that can be said before its digest is known.
    """
    _require_open(session)
    if start is not None and start != session.offset:
        raise RegistryError(Code.RANGE_INVALID, offset=session.offset)
    upload_limits.require_room(session.offset, announced)
    upload_limits.refuse_one_more(session)
    upload_limits.refuse_large(session.quotas, session.offset + (announced or 0))
    try:
        part = storage.current().write(
            session.pk,
            upload_limits.limited(chunks, session.offset, session.quotas),
            session.algorithm,
        )
    except FileNotFoundError as error:
        raise _ended_meanwhile() from error
    _count(session, part)


def _ended_meanwhile() -> RegistryError:
    return RegistryError(Code.BLOB_UPLOAD_UNKNOWN, "the upload was ended meanwhile")


def _require_open(session: UploadSession) -> None:
    if session.committed_digest:
        raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN)


def _count(session: UploadSession, part: Part) -> None:
    """Let the session's row count a durable part, where nobody else has moved the end.

    Where a power cut takes that back, the client is told so: it goes on from where its bytes are.
    """
    store = storage.current()
    if part.size == 0:
        store.discard(session.pk, part)
        return
    offset = session.offset + part.size
    expires_at = timezone.now() + settings.REGISTRY_UPLOAD_EXPIRY
    with database.atomic_until_the_next_sync():
        with database.together() as send:
            moved = _move(session, offset, "", expires_at, send)
            upload_parts.add(session, part, send)
        won = moved.count > 0
        if not won:
            database.roll_back()
    if not won:
        store.discard(session.pk, part)
        current = UploadSession.objects.filter(pk=session.pk, committed_digest="").first()
        if current is None:
            # Its folder was removed when it was ended, and the part has made it again.
            store.discard(session.pk)
            raise _ended_meanwhile()
        session.offset = current.offset
        session._state.adding = False  # noqa: SLF001
        raise RegistryError(
            Code.RANGE_INVALID, "another request moved the end", offset=session.offset
        )
    crash_points.reached("part_counted")
    session.offset, session.expires_at = offset, expires_at
    session._state.adding = False  # noqa: SLF001


def _move(
    session: UploadSession,
    offset: int,
    committed_digest: str,
    expires_at: dt.datetime,
    send: database.Together,
) -> database.Sent:
    """Write where the session stands now; a row changes where it stood as `session` says.

    In a transaction. Of several who write a session's first row one wins.
    """
    if session._state.adding:  # noqa: SLF001
        values = [session.pk, session.repository_id, session.opened_by, session.algorithm]
        values += [offset, committed_digest, session.created_at, expires_at]
        return send(_OPEN, values)
    values = [offset, committed_digest, expires_at, session.pk, session.offset]
    return send(_MOVE, values)


def commit(
    session: UploadSession,
    digest: str,
    chunks: Iterable[Chunk],
    start: int | None,
    announced: int | None = None,
) -> None:
    """End the upload with the last `chunks` (mostly none): from here on it is a blob.

    `start` and `announced` are as for `append`. Runs twice with the same result. A wrong digest
    leaves the session as it was, without `chunks`.

    Raises DIGEST_INVALID, RANGE_INVALID, BLOB_UPLOAD_UNKNOWN, SIZE_INVALID, DENIED.
    """
    digests.check(digest)
    if session.committed_digest:
        if session.committed_digest != digest:
            raise RegistryError(Code.DIGEST_INVALID)
        return
    if start is not None and start != session.offset:
        raise RegistryError(Code.RANGE_INVALID, offset=session.offset)
    upload_limits.require_room(session.offset, announced)
    upload_limits.refuse_large(session.quotas, session.offset + (announced or 0), digest)
    store = storage.current()
    made: list[Part] = []
    try:
        whole = _whole(session, digest, chunks, made)
        # What takes long is done here: the transaction holds its repository.
        store.stage(session.pk, whole, digest)
        _finish(session, whole, digest)
    except FileNotFoundError as error:
        _discard(session, made)
        if not _has_become(session, digest):
            raise RegistryError(
                Code.BLOB_UPLOAD_UNKNOWN, "what was uploaded is lost: start the upload again"
            ) from error
    except BaseException:
        _discard(session, made)
        raise
    store.discard(session.pk)


def _whole(session: UploadSession, digest: str, chunks: Iterable[Chunk], made: list[Part]) -> Part:
    """One part with all of the upload, `chunks` at its end. `made` gets what was written for it.

    Raises DIGEST_INVALID where it is not `digest`, before several parts are written as one: who
    guesses makes the node read, and never write.
    """
    store, algorithm = storage.current(), digests.algorithm_of(digest)
    parts = upload_parts.of(session)
    rest = upload_limits.limited(chunks, session.offset, session.quotas, digest)
    first = next(rest, None)
    # Mostly nothing is left to write: one PATCH has carried all of it.
    if first is not None or not parts:
        chunks = itertools.chain([first or b""], rest)
        last = store.write(session.pk, chunks, algorithm, durable=False)
        made.append(last)
        if last.size or not parts:
            parts.append(last)
    found = parts[0].digest
    if len(parts) > 1 or digests.algorithm_of(found) != algorithm:
        found = store.digest(session.pk, parts, algorithm)
    if found != digest:
        raise RegistryError(Code.DIGEST_INVALID, digest=digest)
    if len(parts) == 1:
        return Part(parts[0].name, parts[0].size, digest)
    whole = store.join(session.pk, parts, algorithm)
    made.append(whole)
    if whole.digest != digest:
        raise StorageUnavailable("the parts of an upload read differently twice")
    return whole


def _discard(session: UploadSession, made: list[Part]) -> None:
    """Remove what a commit that failed has written; all of it where the session has ended."""
    store = storage.current()
    with contextlib.suppress(StorageUnavailable):
        for part in made:
            store.discard(session.pk, part)
        if UploadSession.objects.filter(pk=session.pk).exclude(committed_digest="").exists():
            store.discard(session.pk)


def _has_become(session: UploadSession, digest: str) -> bool:
    """Whether another request has committed the session, as this one would have."""
    return UploadSession.objects.filter(pk=session.pk, committed_digest=digest).exists()


def _finish(session: UploadSession, whole: Part, digest: str) -> None:
    with database.atomic():
        with database.together() as send:
            held = repositories.hold_open(session.repository_id, send)
            moved = _move(session, session.offset, digest, session.expires_at, send)
            if session.offset:
                upload_parts.forget_of(session, send)
            added = blobs.grant(session.repository_id, digest, whole.size, send, session.quotas)
        if held.row is None:
            raise RegistryError(Code.BLOB_UPLOAD_UNKNOWN)
        # Of two commits at once, one finds the session taken.
        if not moved.count:
            if not _has_become(session, digest):
                raise _ended_meanwhile()
            database.roll_back()
            return
        added.refuse(whole.size)
        _put_in_place(session.pk, whole, digest)
    crash_points.reached("blob_committed")
    session.committed_digest = digest


def _put_in_place(folder: uuid.UUID, whole: Part, digest: str) -> None:
    """Let a staged part lie where its digest says, in the transaction that has written its rows."""
    crash_points.reached("blob_rows_written")
    storage.current().commit(folder, whole, digest, staged=True)


def cancel(session: UploadSession) -> None:
    """End an upload without a blob. Its row remains until it expires: the address says nothing."""
    _require_open(session)
    with database.atomic():
        with database.together() as send:
            _move(session, session.offset, _CANCELLED, session.expires_at, send)
        upload_parts.forget([session.pk])
    storage.current().discard(session.pk)
