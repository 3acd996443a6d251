"""Taking over what docker's distribution keeps (see `sources`), so that it can be pulled from here.

Everything goes through the same services as a push, so the rows are those of a push. What is here
already is passed over: it may run again after it was stopped, or when more has been pushed there.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from django.conf import settings
from django.db import connections

from registry import digest as digests
from registry import manifest as parsing
from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import Blob, Manifest, RepositoryBlob, Tag
from registry.services import blobs, database, pushing, repositories, revocations, usage
from registry.services.transfer.sources import FolderSource, Outside, Source
from registry.storage import chosen as storage
from registry.storage.base import BlobStore, Part
from registry.storage.filesystem import FilesystemStore

ACTOR = Actor("import")


@dataclass
class Result:
    """What one repository has brought. `faults` are sentences."""

    name: str
    blobs: int = 0
    manifests: int = 0
    tags: int = 0
    bytes: int = 0
    known: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass
class Importer:
    """How to take over: by hard link or copy, with digests verified or trusted.

    A dry one counts what it would take and names what it could not, and changes nothing: it reads
    manifests, and of blobs whether they are there.
    """

    source: Source
    is_linking: bool = False
    is_trusting: bool = False
    is_dry: bool = False
    _counted: set[str] = field(default_factory=set, init=False)
    """The blobs of a repository that a dry run has counted."""

    def repository(self, name: str, new_name: str) -> Result:
        """Take over one repository under `new_name`. What can't be taken is among the faults.

        Raises NAME_INVALID, `SourceUnavailable`.
        """
        result = Result(new_name)
        repositories.check_name(new_name)
        self._counted.clear()
        revisions = set(self.source.revisions(name))
        for digest in self.source.layers(name):
            if digest not in revisions:
                self._try(result, digest, partial(self._blob, new_name, digest, result))
        for digest in sorted(revisions):
            take = partial(self._manifest, name, new_name, digest, result)
            self._try(result, digest, take)
        for tag, digest in self.source.tags(name):
            self._try(result, f"the tag {tag}", partial(self._tag, new_name, tag, digest, result))
        if not self.is_dry:
            with database.atomic():
                usage.doubt(new_name)
        return result

    def _try(self, result: Result, what: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Outside:
            result.faults.append(f"{result.name}: {what}: a link leads out of the folder")
        except FileNotFoundError:
            result.faults.append(f"{result.name}: {what}: its bytes are not there")
        except RegistryError as error:
            result.faults.append(f"{result.name}: {what}: {error}")

    # Blobs

    def _blob(self, name: str, digest: str, result: Result) -> None:
        size = self.source.size(digest)
        if digest in self._counted or _has_blob(name, digest, size):
            result.known += 1
            return
        if self.is_dry:
            self._counted.add(digest)
            result.bytes += 0 if _is_stored(digest, size) else size
        else:
            repository_id = _open(name)
            if not _share(repository_id, digest, size):
                self._take(repository_id, digest)
                result.bytes += size
        result.blobs += 1

    def _take(self, repository_id: int, digest: str) -> None:
        """The bytes into the store, and the right to them: as an upload's commit."""
        store = storage.current()
        session = uuid.uuid4()
        try:
            part = self._part(store, session, digest)
            store.stage(session, part, digest)
            with database.atomic():
                repositories.hold_by_id(repository_id)
                with database.together() as send:
                    blobs.grant(repository_id, digest, part.size, send)
                store.commit(session, part, digest, staged=True)
        finally:
            store.discard(session)

    def _part(self, store: BlobStore, session: uuid.UUID, digest: str) -> Part:
        algorithm = digests.algorithm_of(digest)
        chunks = self.source.chunks(digest)
        if self.is_linking:
            assert isinstance(store, FilesystemStore)
            assert isinstance(self.source, FolderSource)
            if not self.is_trusting:
                _require_digest(digest, digests.of_chunks(chunks, algorithm))
            return store.take_over(session, self.source.path(digest), digest)
        part = store.write(session, chunks, algorithm)
        if not self.is_trusting:  # The hash comes with the copy anyway.
            _require_digest(digest, part.digest)
        return part

    # Manifests and tags

    def _manifest(self, old_name: str, name: str, digest: str, result: Result) -> None:
        if _find(name, digest) is not None:
            result.known += 1
            return
        payload = self._payload(digest)
        self._blobs_of(old_name, name, payload, result)
        if not self.is_dry:
            _push(name, digest, payload)
        result.manifests += 1

    def _payload(self, digest: str) -> bytes:
        """The bytes of a manifest. Raises `FileNotFoundError`, DIGEST_INVALID, SIZE_INVALID."""
        digests.check(digest)
        most = settings.REGISTRY_MAX_MANIFEST_SIZE
        read = bytearray()
        for chunk in self.source.chunks(digest):
            read += chunk
            if len(read) > most:
                raise RegistryError(Code.SIZE_INVALID, f"a manifest has at most {most} bytes")
        payload = bytes(read)
        _require_digest(digest, digests.of(payload, digests.algorithm_of(digest)))
        return payload

    def _blobs_of(self, old_name: str, name: str, payload: bytes, result: Result) -> None:
        """What it needs and has no link of its own: distribution forgets some after a mount.

        An index may list blobs, which are asked for again too: a long import may have been stopped
        since they were taken over, and nothing held them yet.
        """
        parsed = parsing.parse(payload, None)
        for digest in parsed.needed_blobs:
            self._blob(name, digest, result)
        for child in parsed.children:
            if self.source.has_layer(old_name, child.digest):
                self._blob(name, child.digest, result)

    def _tag(self, name: str, tag: str, digest: str, result: Result) -> None:
        # A tag that anybody has pushed or deleted here since is theirs.
        if Tag.objects.filter(repository__name=name, repository__closed_at=None, name=tag).exists():
            result.known += 1
            return
        payload = self._payload(digest)
        if not self.is_dry:
            _push(name, tag, payload)
        result.tags += 1


def _push(name: str, reference: str, payload: bytes) -> None:
    """As `pushing.push`, again where that has met a revocation: there is no token to end."""
    while True:
        try:
            pushing.push(name, reference, payload, None, ACTOR)
        except revocations.News:
            revocations.refresh()
        else:
            return


def _open(name: str) -> int:
    found = repositories.find_id(name)
    if found is not None:
        return found
    with database.atomic():
        return repositories.hold_or_open(name, ACTOR)


def _has_blob(name: str, digest: str, size: int) -> bool:
    """Whether the repository `name` may serve a blob whose bytes are in the store."""
    right = RepositoryBlob.objects.filter(
        repository__name=name,
        repository__closed_at=None,
        blob__digest=digest,
        blob__size=size,
        deleted_at=None,
    )
    return right.exists() and storage.current().size(digest) == size


def _is_stored(digest: str, size: int) -> bool:
    """Whether bytes are here already, for any repository."""
    here = Blob.objects.filter(digest=digest, size=size).exists()
    return here and storage.current().size(digest) == size


def _share(repository_id: int, digest: str, size: int) -> bool:
    """The right to bytes that are here already, for another repository; whether they are."""
    if not Blob.objects.filter(digest=digest, size=size).exists():
        return False
    with database.atomic():
        repositories.hold_by_id(repository_id)
        with database.together() as send:
            blobs.grant(repository_id, digest, size, send)
        # Asked once the row is held and no tombstone stands: now they stay.
        is_there = storage.current().size(digest) == size
        if not is_there:
            connections[database.ALIAS].set_rollback(True)
    return is_there


def _find(name: str, digest: str) -> Manifest | None:
    return (
        Manifest.objects.defer("payload")
        .filter(repository__name=name, repository__closed_at=None, digest=digest, deleted_at=None)
        .first()
    )


def keep_untagged(name: str) -> None:
    """Have untagged manifests kept: people may pull them by digest."""
    with contextlib.suppress(RegistryError):
        repositories.set_collect_untagged(name, False)


def _require_digest(wanted: str, found: str) -> None:
    if wanted != found:
        raise RegistryError(Code.DIGEST_INVALID, "its bytes have another digest", digest=found)
