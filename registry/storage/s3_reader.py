"""Reading an object as a file: seekable, in one stream as long as nobody seeks."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import urllib3.exceptions
from botocore.exceptions import BotoCoreError

from registry.storage.base import StorageUnavailable
from registry.storage.s3_client import named_failures

_ATTEMPTS = 3
_BROKEN = (BotoCoreError, urllib3.exceptions.HTTPError, OSError)


class ObjectReader(io.RawIOBase):
    """An object from `start` on. Raises `FileNotFoundError` at once where it is not there.

    A stream that breaks is taken up again where it broke, but only of the same object: bytes of two
    never come in one reading.
    """

    def __init__(self, client: Any, bucket: str, key: str, start: int = 0) -> None:
        super().__init__()
        self._client, self._bucket, self._key = client, bucket, key
        self._at = start
        self._body: Any = None
        self._etag = ""
        self._size = 0
        self._request()

    def _request(self) -> None:
        """Ask for everything from where we are."""
        options: dict[str, Any] = {}
        if self._at:
            options["Range"] = f"bytes={self._at}-"
        if self._etag:
            options["IfMatch"] = self._etag
        with named_failures():
            answer = self._client.get_object(Bucket=self._bucket, Key=self._key, **options)
        self._body, self._etag = answer["Body"], answer["ETag"]
        total = str(answer.get("ContentRange", "")).rpartition("/")[2]
        self._size = int(total) if total.isdecimal() else int(answer["ContentLength"])

    def _drop(self) -> None:
        body, self._body = self._body, None
        if body is not None:
            with contextlib.suppress(*_BROKEN):
                body.close()

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def tell(self) -> int:
        """Where the next byte comes from."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go somewhere else; the next reading asks anew."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        target = base + offset
        if target < 0:
            raise ValueError("a position before the start")
        if target != self._at:
            self._drop()
            self._at = target
        return target

    def read(self, size: int | None = -1, /) -> bytes:
        """Up to `size` bytes, fewer only at the end. Raises `StorageUnavailable`."""
        left = max(self._size - self._at, 0)
        wanted = left if size is None or size < 0 else min(size, left)
        pieces: list[bytes] = []
        failures = 0
        while wanted:
            try:
                if self._body is None:
                    self._request()
                piece = self._body.read(wanted)
                if not piece:
                    raise urllib3.exceptions.ProtocolError("the stream ended early")
            except _BROKEN as error:
                self._drop()
                failures += 1
                if failures == _ATTEMPTS or isinstance(error, FileNotFoundError):
                    raise StorageUnavailable("reading broke off") from error
                continue
            pieces.append(piece)
            self._at += len(piece)
            wanted -= len(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def readall(self) -> bytes:
        """All that is left."""
        return self.read()

    def readinto(self, buffer: Any, /) -> int:
        """See `io.RawIOBase.readinto`."""
        view = memoryview(buffer).cast("B")
        piece = self.read(len(view))
        view[: len(piece)] = piece
        return len(piece)

    def close(self) -> None:
        """End the stream, also in its middle: what was not read is not fetched."""
        self._drop()
        super().close()
