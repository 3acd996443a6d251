"""Sending an object of unknown length in flat memory, and copying one inside the store.

A small object goes in one request, whose digest the store checks. A larger one is an upload of
several parts: the store checks each by its own checksum, and the whole by its count; the size and a
mark of ours are compared afterwards.
"""

from __future__ import annotations

import base64
import contextlib
import threading
from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from registry.media_types import OCTET_STREAM
from registry.storage.base import Chunk, StorageUnavailable
from registry.storage.s3_client import Clients, named_failures

MIB = 1024 * 1024
SMALLEST_PART = 8 * MIB
MOST_PARTS = 10_000
"""S3's own limit of the parts of one upload."""

COPY_LIMIT = 64 * MIB
"""Larger objects are copied in ranges side by side; S3 copies at most 5 GiB in one request."""

COPY_PART = 64 * MIB
THREADS = 8
"""Requests of one process that send, copy or ask at the same time."""

_IN_FLIGHT = 3
"""Parts of one upload that are on their way."""

Finished = dict[str, Any]


class Bucket:
    """A bucket with what sending to it takes."""

    def __init__(self, clients: Clients, name: str, part_size: int = SMALLEST_PART) -> None:
        self.clients, self.name, self.part_size = clients, name, part_size
        self.pool = ThreadPoolExecutor(THREADS, thread_name_prefix="s3")
        # Over all uploads of the process, so that their memory has one bound.
        self.sending = threading.BoundedSemaphore(THREADS)

    def head(self, key: str) -> dict[str, Any] | None:
        """What the store says of an object, None where it is not there."""
        try:
            with named_failures():
                answer: dict[str, Any] = self.clients.retrying.head_object(
                    Bucket=self.name, Key=key
                )
        except FileNotFoundError:
            return None
        return answer


class Multipart:
    """An upload of several parts to `key`. Ends with `complete` or `abort`."""

    def __init__(self, bucket: Bucket, key: str, mark: str) -> None:
        self._bucket, self._key, self._mark = bucket, key, mark
        self._target: dict[str, str] = {"Bucket": bucket.name, "Key": key}
        self._under_way: deque[Future[Finished]] = deque()
        self._finished: list[Finished] = []
        self._count = 0
        with named_failures():
            answer = bucket.clients.once.create_multipart_upload(
                **self._target, ContentType=OCTET_STREAM, Metadata={"mark": mark}
            )
        self._target["UploadId"] = answer["UploadId"]

    def send(self, content: bytearray) -> None:
        """Send the next part, once fewer than the most are on their way."""
        self._wait(until_left=_IN_FLIGHT - 1)
        self._bucket.sending.acquire()
        try:
            self._count += 1
            future = self._bucket.pool.submit(self._send, self._count, content)
        except BaseException:
            self._bucket.sending.release()
            raise
        future.add_done_callback(lambda _: self._bucket.sending.release())
        self._under_way.append(future)

    def copy(self, source: dict[str, str], first: int, last: int) -> None:
        """Let the next part be a range of another object."""
        self._wait(until_left=_IN_FLIGHT - 1)
        self._count += 1
        self._under_way.append(
            self._bucket.pool.submit(self._copy, self._count, source, f"bytes={first}-{last}")
        )

    def complete(self, size: int) -> None:
        """Make the object. Raises where it has not `size` bytes afterwards."""
        self._wait(until_left=0)
        failure: Exception | None = None
        try:
            with named_failures():
                self._bucket.clients.once.complete_multipart_upload(
                    **self._target, MultipartUpload={"Parts": self._finished}
                )
        except (StorageUnavailable, FileNotFoundError) as error:
            # It is asked for once: a second request would find nothing to complete after a first
            # one that got through without an answer. What lies there says which it was.
            failure = error
        found = self._bucket.head(self._key)
        if found is not None and found.get("Metadata", {}).get("mark") == self._mark:
            if found["ContentLength"] == size:
                return
            failure = StorageUnavailable("the store has another size than what was sent")
        raise failure or StorageUnavailable("the store has not what was sent")

    def abort(self) -> None:
        """Give up. What can't be removed now, the sweep finds."""
        for future in self._under_way:
            future.cancel()
        for future in self._under_way:
            # A part that arrives after the end of its upload would stay.
            if not future.cancelled():
                future.exception()
        with contextlib.suppress(BotoCoreError, ClientError):
            self._bucket.clients.once.abort_multipart_upload(**self._target)

    def _wait(self, *, until_left: int) -> None:
        while len(self._under_way) > until_left:
            self._finished.append(self._under_way.popleft().result())

    def _send(self, number: int, content: bytearray) -> Finished:
        with named_failures():
            answer = self._bucket.clients.retrying.upload_part(
                **self._target, PartNumber=number, Body=content
            )
        return _finished(number, answer)

    def _copy(self, number: int, source: dict[str, str], covered: str) -> Finished:
        with named_failures():
            answer = self._bucket.clients.retrying.upload_part_copy(
                **self._target, PartNumber=number, CopySource=source, CopySourceRange=covered
            )
        return _finished(number, answer["CopyPartResult"])


def _finished(number: int, answer: dict[str, Any]) -> Finished:
    """What the request that completes an upload has to say of one part."""
    checksums = {
        name: value
        for name, value in answer.items()
        if name.startswith("Checksum") and name != "ChecksumType"
    }
    return {"PartNumber": number, "ETag": answer["ETag"], **checksums}


class Writer:
    """Sends what is added to `key`. Use as a context: leaving it by an exception leaves nothing."""

    def __init__(self, bucket: Bucket, key: str, mark: str) -> None:
        self._bucket, self._key, self._mark = bucket, key, mark
        self._held = bytearray()
        self._multipart: Multipart | None = None
        self._size = 0
        self._has_asked = False

    def add(self, chunk: Chunk) -> None:
        """Take the next bytes."""
        self._size += len(chunk)
        view = memoryview(chunk)
        while view:
            if len(self._held) == self._bucket.part_size:
                self._send()
            room = self._bucket.part_size - len(self._held)
            self._held += view[:room]
            view = view[room:]

    def _send(self) -> None:
        self._has_asked = True
        if self._multipart is None:
            self._multipart = Multipart(self._bucket, self._key, self._mark)
        content, self._held = self._held, bytearray()
        self._multipart.send(content)

    def finish(self, sha256: bytes | None) -> None:
        """All has been added. `sha256` is its hash, where that is known."""
        if self._multipart is not None:
            self._send()
            self._multipart.complete(self._size)
            return
        self._has_asked = True
        checked = {"ChecksumSHA256": base64.b64encode(sha256).decode()} if sha256 else {}
        with named_failures():
            self._bucket.clients.retrying.put_object(
                Bucket=self._bucket.name,
                Key=self._key,
                Body=bytes(self._held),
                ContentType=OCTET_STREAM,
                Metadata={"mark": self._mark},
                **checked,
            )

    def remove(self) -> None:
        """Leave nothing, as far as the store can still be reached."""
        if self._multipart is not None:
            self._multipart.abort()
        if self._has_asked:
            with contextlib.suppress(BotoCoreError, ClientError):
                self._bucket.clients.once.delete_object(Bucket=self._bucket.name, Key=self._key)

    @contextlib.contextmanager
    def removing_on_failure(self) -> Iterator[None]:
        """Whatever ends the sending early, nothing of it stays."""
        try:
            yield
        except BaseException:
            self.remove()
            raise


def copy(bucket: Bucket, source_key: str, target_key: str, size: int, mark: str) -> None:
    """Copy an object inside the store, over whatever lies there. Raises `FileNotFoundError`."""
    source = {"Bucket": bucket.name, "Key": source_key}
    if size <= COPY_LIMIT:
        with named_failures():
            bucket.clients.retrying.copy_object(
                Bucket=bucket.name,
                Key=target_key,
                CopySource=source,
                MetadataDirective="REPLACE",
                ContentType=OCTET_STREAM,
                Metadata={"mark": mark},
            )
        return
    if bucket.head(source_key) is None:
        raise FileNotFoundError(source_key)
    multipart = Multipart(bucket, target_key, mark)
    try:
        step = max(COPY_PART, -(-size // MOST_PARTS))
        for first in range(0, size, step):
            multipart.copy(source, first, min(first + step, size) - 1)
        multipart.complete(size)
    except BaseException:
        multipart.abort()
        raise
