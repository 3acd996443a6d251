"""Bytes in an S3 bucket.

A part of an upload is an object of its own, sent in flat memory while it comes in. Its digest, and
so its key as a blob, is known only at its end, and S3 can't rename: so a commit is a copy inside
the store. `stage` makes it before the transaction that makes the blob known, and `commit` then only
looks whether it is still there. An object is durable when its request is answered.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import PurePosixPath
from typing import Any, BinaryIO, cast
from uuid import UUID

from botocore.exceptions import BotoCoreError, ClientError

from registry import digest as digests
from registry.storage import paths, s3_upload
from registry.storage.base import CHUNK, Chunk, Part, StorageUnavailable, StoredBlob
from registry.storage.digester import Digester
from registry.storage.s3_client import Clients, S3Options, named_failures
from registry.storage.s3_reader import ObjectReader
from registry.storage.s3_upload import Bucket, Writer

_DELETED_AT_ONCE = 1000
"""S3's own limit."""


class S3Store:
    """A `BlobStore` in one bucket, below a prefix."""

    is_here = False

    def __init__(self, options: S3Options, *, max_blob_size: int = 0) -> None:
        """`max_blob_size` decides how large the parts of an upload have to be to suffice."""
        self._root = PurePosixPath(options.prefix.strip("/"))
        self._name = options.bucket
        self._clients = Clients(options)
        wanted = -(-max_blob_size // s3_upload.MOST_PARTS)
        self._bucket = Bucket(self._clients, options.bucket, max(s3_upload.SMALLEST_PART, wanted))

    def _blob(self, digest: str) -> str:
        return str(paths.blob(self._root, digest))

    def _part(self, session: UUID, part: Part) -> str:
        return str(paths.part(self._root, session, part.name))

    def write(
        self,
        session: UUID,
        chunks: Iterable[Chunk],
        algorithm: str = "sha256",
        *,
        durable: bool = True,
    ) -> Part:
        """See `BlobStore.write`. An object is durable in any case."""
        name = uuid.uuid4().hex
        size = 0
        writer = Writer(self._bucket, str(paths.part(self._root, session, name)), name)
        with writer.removing_on_failure(), Digester(algorithm) as digester:
            for chunk in chunks:
                digester.update(chunk)
                size += len(chunk)
                writer.add(chunk)
            digest = digester.digest()
            writer.finish(digest if algorithm == "sha256" else None)
        return Part(name, size, f"{algorithm}:{digest.hex()}")

    def digest(self, session: UUID, parts: Iterable[Part], algorithm: str = "sha256") -> str:
        """See `BlobStore.digest`."""
        return digests.of_chunks(self._content(session, parts), algorithm)

    def join(self, session: UUID, parts: Iterable[Part], algorithm: str = "sha256") -> Part:
        """See `BlobStore.join`. The bytes pass through here: they have to be hashed anew."""
        return self.write(session, self._content(session, parts), algorithm)

    def _content(self, session: UUID, parts: Iterable[Part]) -> Iterator[bytes]:
        for part in parts:
            with self._read(self._part(session, part)) as reader:
                while chunk := reader.read(CHUNK):
                    yield chunk

    def stage(self, session: UUID, part: Part, digest: str) -> None:
        """See `BlobStore.stage`."""
        source, target = self._part(session, part), self._blob(digest)
        s3_upload.copy(self._bucket, source, target, part.size, part.name)

    def commit(self, session: UUID, part: Part, digest: str, *, staged: bool = False) -> None:
        """See `BlobStore.commit`."""
        if not staged:
            try:
                self.stage(session, part, digest)
            except FileNotFoundError:
                if self.size(digest) != part.size:
                    raise
        if self.size(digest) == part.size:
            return
        # The collector has removed it since: it knew the digest as garbage.
        self.stage(session, part, digest)
        if self.size(digest) != part.size:
            raise StorageUnavailable("the store has not what was copied")

    def discard(self, session: UUID, part: Part | None = None) -> None:
        """See `BlobStore.discard`."""
        if part is not None:
            self._delete(self._part(session, part))
            return
        prefix = f"{paths.upload(self._root, session)}/"
        self._delete_all(entry["Key"] for entry in self._list(prefix))

    def size(self, digest: str) -> int | None:
        """See `BlobStore.size`."""
        found = self._bucket.head(self._blob(digest))
        return None if found is None else int(found["ContentLength"])

    def sizes(self, digests: Collection[str]) -> dict[str, int | None]:
        """See `BlobStore.sizes`."""
        if len(digests) < 2:
            return {digest: self.size(digest) for digest in digests}
        return dict(zip(digests, self._bucket.pool.map(self.size, digests), strict=True))

    def open(self, digest: str, start: int = 0) -> BinaryIO:
        """See `BlobStore.open`."""
        return cast("BinaryIO", self._read(self._blob(digest), start))

    def _read(self, key: str, start: int = 0) -> ObjectReader:
        return ObjectReader(self._clients.retrying, self._name, key, start)

    def address(self, digest: str, seconds: int) -> str | None:
        """See `BlobStore.address`. Signed here, without asking the store."""
        with named_failures():
            address: str = self._clients.retrying.generate_presigned_url(
                "get_object",
                Params={"Bucket": self._name, "Key": self._blob(digest)},
                ExpiresIn=seconds,
            )
        return address

    def delete(self, digest: str) -> bool:
        """See `BlobStore.delete`."""
        key = self._blob(digest)
        if self._bucket.head(key) is None:
            return False
        self._delete(key)
        return True

    def blobs(self, start: str = "") -> Iterator[StoredBlob]:
        """See `BlobStore.blobs`."""
        root = f"{paths.blobs(self._root)}/"
        prefixes = [f"{root}{name}/{start}/" for name in digests.ALGORITHMS] if start else [root]
        for prefix in prefixes:
            for entry in self._list(prefix):
                path = PurePosixPath(entry["Key"])
                digest = f"{path.parent.parent.parent.name}:{path.name}"
                if digests.is_digest(digest):
                    yield StoredBlob(digest, entry["Size"], entry["LastModified"])

    def status(self, digest: str) -> StoredBlob | None:
        """See `BlobStore.status`."""
        found = self._bucket.head(self._blob(digest))
        if found is None:
            return None
        return StoredBlob(digest, int(found["ContentLength"]), found["LastModified"])

    def quarantine(self, found: StoredBlob) -> bool:
        """See `BlobStore.quarantine`. A copy inside the store, then the old object is removed."""
        moment = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%S.%f")
        if self.status(found.digest) != found:
            return False
        key = self._blob(found.digest)
        target = str(paths.quarantined(self._root, found.digest, moment))
        s3_upload.copy(self._bucket, key, target, found.size, uuid.uuid4().hex)
        self._delete(key)
        return True

    def sweep(self, before: dt.datetime, is_live: Callable[[UUID], bool]) -> int:
        """See `BlobStore.sweep`: objects of uploads, and uploads of parts that were not ended."""
        known: dict[str, bool] = {}

        def is_left(key: str, since: dt.datetime) -> bool:
            folder = PurePosixPath(key).parent
            if since >= before:
                return False
            if folder.parent.parent != paths.uploads(self._root):
                return True
            if folder.name not in known:
                known[folder.name] = _is_live(folder.name, is_live)
            return not known[folder.name]

        left = [
            entry["Key"]
            for entry in self._list(f"{paths.uploads(self._root)}/")
            if is_left(entry["Key"], entry["LastModified"])
        ]
        self._delete_all(left)
        count = len(left)
        for entry in list(self._unfinished()):
            if is_left(entry["Key"], entry["Initiated"]):
                with contextlib.suppress(FileNotFoundError), named_failures():
                    self._clients.retrying.abort_multipart_upload(
                        Bucket=self._name, Key=entry["Key"], UploadId=entry["UploadId"]
                    )
                count += 1
        return count

    def check(self) -> None:
        """See `BlobStore.check`."""
        client, content = self._clients.quick, uuid.uuid4().hex.encode()
        target = {"Bucket": self._name, "Key": str(paths.health(self._root) / content.decode())}
        try:
            with named_failures():
                client.put_object(**target, Body=content)
                if client.get_object(**target)["Body"].read() != content:
                    raise StorageUnavailable("what was written is not what is read")
                client.delete_object(**target)
        except (FileNotFoundError, StorageUnavailable) as error:
            with contextlib.suppress(BotoCoreError, ClientError):
                client.delete_object(**target)
            raise StorageUnavailable(str(error)) from error

    def _list(self, prefix: str) -> Iterator[dict[str, Any]]:
        return self._pages("list_objects_v2", "Contents", prefix)

    def _unfinished(self) -> Iterator[dict[str, Any]]:
        """Uploads of parts under our prefix; those of others in the same bucket are theirs."""
        for folder in (paths.uploads(self._root), paths.blobs(self._root)):
            yield from self._pages("list_multipart_uploads", "Uploads", f"{folder}/")

    def _pages(self, operation: str, entries: str, prefix: str) -> Iterator[dict[str, Any]]:
        with named_failures():
            pages = self._clients.retrying.get_paginator(operation)
            for page in pages.paginate(Bucket=self._name, Prefix=prefix):
                yield from page.get(entries, [])

    def _delete(self, key: str) -> None:
        with contextlib.suppress(FileNotFoundError), named_failures():
            self._clients.retrying.delete_object(Bucket=self._name, Key=key)

    def _delete_all(self, keys: Iterable[str]) -> None:
        left = list(keys)
        if len(left) == 1:
            self._delete(left[0])
            return
        while left:
            batch, left = left[:_DELETED_AT_ONCE], left[_DELETED_AT_ONCE:]
            with named_failures():
                answer = self._clients.retrying.delete_objects(
                    Bucket=self._name,
                    Delete={"Objects": [{"Key": key} for key in batch], "Quiet": True},
                )
            if answer.get("Errors"):
                raise StorageUnavailable(f"DeleteObjects: {answer['Errors'][0].get('Code')}")


def _is_live(name: str, is_live: Callable[[UUID], bool]) -> bool:
    try:
        session = UUID(name)
    except ValueError:
        return True  # Not one of ours: somebody else keeps something there.
    return is_live(session)
