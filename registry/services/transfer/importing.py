"""Taking over what docker's distribution keeps in a folder, so that it can be pulled from here.

::

    docker/registry/v2/
      blobs/sha256/ab/abcd…/data                            bytes, of blobs and of manifests
      repositories/<name>/_layers/sha256/<hex>/link         may serve this blob
      repositories/<name>/_manifests/revisions/sha256/<hex>/link
      repositories/<name>/_manifests/tags/<tag>/current/link

Everything goes through the same services as a push, so the rows are those of a push. What is here
already is passed over: it may run again after it was stopped, or when more has been pushed there.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from django.db import connections

from registry import digest as digests
from registry import manifest as parsing
from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.models import Blob, Manifest, RepositoryBlob, Tag
from registry.services import blobs, database, manifests, repositories
from registry.storage import chosen as storage
from registry.storage.base import CHUNK, BlobStore, Part
from registry.storage.filesystem import FilesystemStore

ACTOR = Actor("import")
_MAX_LINK = 1024
"""Bytes of one of distribution's link files, which hold a digest."""


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


class NotThere(Exception):
    """The folder is no distribution's."""


class Outside(FileNotFoundError):
    """A link leads out of the folder. Whoever could write there would have any file read."""


class Source:
    """A folder of distribution's, read and never written. Links that lead out are not followed."""

    def __init__(self, root: Path) -> None:
        """`root` is the one in its configuration, or ``docker/registry/v2`` below it."""
        nested = root / "docker" / "registry" / "v2"
        self.root = nested if nested.is_dir() else root
        if not (self.root / "repositories").is_dir() or not (self.root / "blobs").is_dir():
            raise NotThere(f"{root} holds no docker/registry/v2 with blobs and repositories")
        self._real = self.root.resolve()

    def names(self) -> Iterator[str]:
        """The repositories, in order."""
        top = self.root / "repositories"
        for folder, below, _ in os.walk(top):
            below.sort()
            if "_manifests" in below or "_layers" in below:
                yield Path(folder).relative_to(top).as_posix()
            below[:] = [name for name in below if not name.startswith("_")]

    def data(self, digest: str) -> Path:
        """The file of a blob or a manifest. Raises `FileNotFoundError`, and `Outside`."""
        algorithm, _, encoded = digest.partition(":")
        return self._inside(self.root / "blobs" / algorithm / encoded[:2] / encoded / "data")

    def _inside(self, path: Path) -> Path:
        """The file that `path` leads to. Raises `FileNotFoundError`, and `Outside`."""
        try:
            found = path.resolve(strict=True)
        except (OSError, RuntimeError) as error:  # A ring of links is a RuntimeError.
            raise FileNotFoundError(path) from error
        if not found.is_relative_to(self._real):
            raise Outside(path)
        if not found.is_file():
            raise FileNotFoundError(path)
        return found

    def _said(self, link: Path) -> str:
        """What a link of distribution's says; nothing where it leads out or is none."""
        try:
            with self._inside(link).open("rb") as file:
                return file.read(_MAX_LINK).decode("ascii", "replace").strip()
        except FileNotFoundError:
            return ""

    def layers(self, name: str) -> Iterator[str]:
        """The digests that a repository may serve."""
        return self._links(self.root / "repositories" / name / "_layers")

    def has_layer(self, name: str, digest: str) -> bool:
        """Whether a repository may serve a blob."""
        algorithm, _, encoded = digest.partition(":")
        link = self.root / "repositories" / name / "_layers" / algorithm / encoded / "link"
        return self._said(link) == digest

    def revisions(self, name: str) -> Iterator[str]:
        """The digests of its manifests, tagged or not."""
        return self._links(self.root / "repositories" / name / "_manifests" / "revisions")

    def tags(self, name: str) -> Iterator[tuple[str, str]]:
        """Its tags, with what they point at."""
        for link in sorted(
            (self.root / "repositories" / name / "_manifests" / "tags").glob("*/current/link")
        ):
            yield link.parent.parent.name, self._said(link)

    def _links(self, folder: Path) -> Iterator[str]:
        for link in sorted(folder.glob("*/*/link")):
            digest = f"{link.parent.parent.name}:{link.parent.name}"
            # A deleted one leaves its folder, and a crash an empty file.
            if digests.is_digest(digest) and self._said(link) == digest:
                yield digest


@dataclass
class Importer:
    """How to take over: by hard link or copy, with digests verified or trusted."""

    source: Source
    is_linking: bool = False
    is_trusting: bool = False

    def repository(self, name: str, new_name: str) -> Result:
        """Take over one repository under `new_name`. What can't be taken is among the faults."""
        result = Result(new_name)
        repositories.check_name(new_name)
        revisions = list(self.source.revisions(name))
        for digest in self.source.layers(name):
            if digest not in revisions:
                self._try(result, digest, partial(self._blob, new_name, digest, result))
        for digest in revisions:
            take = partial(self._manifest, name, new_name, digest, result)
            self._try(result, digest, take)
        for tag, digest in self.source.tags(name):
            self._try(result, f"the tag {tag}", partial(self._tag, new_name, tag, digest, result))
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
        path = self.source.data(digest)
        size = path.stat().st_size
        repository_id = _open(name)
        if (
            RepositoryBlob.objects.filter(
                repository_id=repository_id,
                blob__digest=digest,
                blob__size=size,
                deleted_at=None,
            ).exists()
            and storage.current().size(digest) == size
        ):
            result.known += 1
            return
        if not _share(repository_id, digest, size):
            self._take(repository_id, digest, path)
            result.bytes += size
        result.blobs += 1

    def _take(self, repository_id: int, digest: str, path: Path) -> None:
        """The bytes into the store, and the right to them: as an upload's commit."""
        store = storage.current()
        session = uuid.uuid4()
        try:
            part = self._part(store, session, digest, path)
            store.stage(session, part, digest)
            with database.atomic():
                repositories.hold_by_id(repository_id)
                blobs.grant(repository_id, digest, part.size)
                store.commit(session, part, digest, staged=True)
        finally:
            store.discard(session)

    def _part(self, store: BlobStore, session: uuid.UUID, digest: str, path: Path) -> Part:
        if self.is_linking:
            assert isinstance(store, FilesystemStore)
            if not self.is_trusting:
                _require_digest(digest, digests.of_chunks(_chunks(path), _algorithm(digest)))
            return store.take_over(session, path, digest)
        part = store.write(session, _chunks(path), _algorithm(digest))
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
        manifests.push(name, digest, payload, None, ACTOR)
        result.manifests += 1

    def _payload(self, digest: str) -> bytes:
        digests.check(digest)
        payload = self.source.data(digest).read_bytes()
        _require_digest(digest, digests.of(payload, _algorithm(digest)))
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
        manifests.push(name, tag, payload, None, ACTOR)
        result.tags += 1


def _open(name: str) -> int:
    found = repositories.find_id(name)
    if found is not None:
        return found
    with database.atomic():
        return repositories.hold_or_open(name, ACTOR)


def _share(repository_id: int, digest: str, size: int) -> bool:
    """The right to bytes that are here already, for another repository; whether they are."""
    if not Blob.objects.filter(digest=digest, size=size).exists():
        return False
    with database.atomic():
        repositories.hold_by_id(repository_id)
        blobs.grant(repository_id, digest, size)
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


def _algorithm(digest: str) -> str:
    return digests.algorithm_of(digest)


def _chunks(path: Path) -> Iterator[bytes]:
    with path.open("rb", buffering=0) as file:
        while chunk := file.read(CHUNK):
            yield chunk


def _require_digest(wanted: str, found: str) -> None:
    if wanted != found:
        raise RegistryError(Code.DIGEST_INVALID, "its bytes have another digest", digest=found)
