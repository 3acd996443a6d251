"""How a blob leaves: the kernel moves its bytes where the server can (sendfile).

Where the store has addresses of its own and the settings say so, the client is sent there with one
that is signed for a few minutes. It is signed by the store's own keys and says what may be read:
the client's token stays here, and the client doesn't carry it on to another host.

Behind nginx its own `sendfile` is nearer to the client still: with ``accel_prefix`` the answer only
names the file, in a location that nobody reaches from outside. Where the store has addresses, it is
such an address that is named there, and nginx fetches it: the store is then nobody's business but
nginx's and the registry's.

Several ranges are sent as one multipart answer (RFC 9110, 14.6): a lazy pull asks for what it needs
of a layer at once. In their order and each by itself, since clients count on both.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import urlsplit

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase, StreamingHttpResponse

from registry import ranges
from registry.errors import Code, RegistryError
from registry.media_types import OCTET_STREAM
from registry.storage import chosen as storage
from registry.storage import paths
from registry.storage.base import CHUNK

_NEAR = 64 * 1024
"""Bytes between two ranges that are read over rather than asked for anew."""

_YEAR = 365 * 24 * 3600
_SMALL = 64 * 1024
"""Bytes that are read at once: most configurations have less."""

ADDRESS_LIFETIME = 300
"""Seconds in which a client has to follow a redirect. A transfer that has begun goes on."""


class _Streamed(StreamingHttpResponse):
    """A response of what is read from a file, which it closes."""

    def __init__(self, file: BinaryIO, content: Iterator[bytes], **options: Any) -> None:
        super().__init__(content, **options)
        self._resource_closers.append(file.close)  # type: ignore[attr-defined]


class _FileResponse(_Streamed):
    """A response whose stream the WSGI server may hand to the kernel.

    Django passes `file_to_stream` to ``wsgi.file_wrapper``; `FileResponse` would guess a type and a
    length from the file, which are known better here.
    """

    block_size = CHUNK

    def __init__(self, file: BinaryIO, length: int, **options: Any) -> None:
        if isinstance(file, FileIO):  # Others have nothing that the kernel could send.
            self.file_to_stream = file
        super().__init__(file, _pieces(file, length), **options)


def _pieces(file: BinaryIO, length: int) -> Iterator[bytes]:
    while length > 0 and (piece := file.read(min(CHUNK, length))):
        length -= len(piece)
        yield piece


def fields_of(digest: str) -> dict[str, str]:
    """What every answer with a blob says of it."""
    return {
        "Docker-Content-Digest": digest,
        "ETag": f'"{digest}"',
        "Accept-Ranges": "bytes",
        "Cache-Control": f"private, max-age={_YEAR}, immutable",
    }


def small(digest: str, size: int) -> bytes | None:
    """All of a blob that is small, None where it isn't, is lost, or leaves in another way."""
    others = settings.REGISTRY_STORAGE
    if size > _SMALL or others.get("redirect") or others.get("accel_prefix"):
        return None
    try:
        with storage.current().open(digest, 0) as file:
            # One byte more, to see a file that is too long as the view does.
            content = file.read(size + 1)
    except FileNotFoundError:
        return None
    return content if len(content) == size else None


def blob_response(
    digest: str, size: int, *, method: str, range_field: str | None, if_range: str | None = None
) -> HttpResponseBase:
    """A blob, or the range of it that was asked for; without content for HEAD.

    `if_range` with anything but the blob's own ETag switches the range off (RFC 9110, 13.1.5).
    Raises BLOB_UNKNOWN where the bytes are lost or of another number, RANGE_INVALID.
    """
    headers = fields_of(digest)
    if method == "HEAD":
        if storage.current().size(digest) != size:
            raise RegistryError(Code.BLOB_UNKNOWN, digest=digest)
        headers["Content-Length"] = str(size)
        return HttpResponse(content_type=OCTET_STREAM, headers=headers)
    if settings.REGISTRY_STORAGE.get("redirect"):
        address = storage.current().address(digest, ADDRESS_LIFETIME)
        if address is not None:
            return _redirect(address, digest)
    is_other = if_range is not None and if_range.strip() != headers["ETag"]
    wanted = ranges.requested(None if is_other else range_field, size)
    if prefix := settings.REGISTRY_STORAGE.get("accel_prefix"):
        response = _by_proxy(str(prefix), digest, size, headers, if_range=if_range)
        if response is not None:
            return response
    start, end = wanted[0] if wanted else (0, size)
    file = _open(digest, size, start)
    if len(wanted) > 1:
        return _multipart(file, size, wanted, headers)
    if wanted:
        headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    return _FileResponse(
        file,
        end - start,
        status=206 if wanted else 200,
        content_type=OCTET_STREAM,
        headers=headers,
    )


def _open(digest: str, size: int, start: int) -> BinaryIO:
    """The bytes from `start` on. Raises BLOB_UNKNOWN where they are lost or of another number."""
    try:
        file = storage.current().open(digest, start)
    except FileNotFoundError as error:
        raise RegistryError(Code.BLOB_UNKNOWN, digest=digest) from error
    if isinstance(file, FileIO) and os.fstat(file.fileno()).st_size != size:
        # The client would wait for bytes that never come, or get others than it asked for.
        file.close()
        raise RegistryError(Code.BLOB_UNKNOWN, digest=digest)
    return file


def _multipart(
    file: BinaryIO, size: int, wanted: list[tuple[int, int]], headers: dict[str, str]
) -> HttpResponseBase:
    """A ``multipart/byteranges`` of what is `wanted` of `file`, which it closes."""
    boundary = secrets.token_hex(16)
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {OCTET_STREAM}\r\n"
        f"Content-Range: bytes {start}-{end - 1}/{size}\r\n\r\n".encode()
        for start, end in wanted
    ]
    last = f"\r\n--{boundary}--\r\n".encode()

    def content() -> Iterator[bytes]:
        for head, (start, end) in zip(heads, wanted, strict=True):
            yield head
            _go_to(file, start)
            yield from _pieces(file, end - start)
        yield last

    length = sum(map(len, heads)) + sum(end - start for start, end in wanted) + len(last)
    return _Streamed(
        file,
        content(),
        status=206,
        content_type=f"multipart/byteranges; boundary={boundary}",
        headers={**headers, "Content-Length": str(length)},
    )


def _go_to(file: BinaryIO, start: int) -> None:
    """Go on at `start`; for an object of a store each seek is a request."""
    gap = start - file.tell()
    if not isinstance(file, FileIO) and 0 < gap <= _NEAR:
        file.read(gap)
    file.seek(start)


def _by_proxy(
    prefix: str, digest: str, size: int, headers: dict[str, str], *, if_range: str | None
) -> HttpResponse | None:
    """nginx sends the file or the object, ranges and all (``X-Accel-Redirect``).

    None for a request that has to be answered here: a store knows its own ETag for `if_range` and
    not ours. Raises BLOB_UNKNOWN where a file is lost or has another size; what became of an object
    nginx finds out.
    """
    # nginx says so for what it sends itself, and keeps this one as well.
    left_out = {"Accept-Ranges"}
    address = storage.current().address(digest, ADDRESS_LIFETIME)
    if address is None:
        if storage.current().size(digest) != size:
            raise RegistryError(Code.BLOB_UNKNOWN, digest=digest)
        location = paths.blob(Path(prefix), digest).as_posix()
    elif if_range is not None:
        return None
    else:
        split = urlsplit(address)
        location = f"{prefix.rstrip('/')}{split.path}?{split.query}"
        # nginx would keep it for an answer that says that the object is lost.
        left_out.add("Cache-Control")
    kept = {name: value for name, value in headers.items() if name not in left_out}
    return HttpResponse(content_type=OCTET_STREAM, headers={**kept, "X-Accel-Redirect": location})


def _redirect(address: str, digest: str) -> HttpResponse:
    """To the store. The client repeats its Range there by itself."""
    headers = {
        "Location": address,
        "Docker-Content-Digest": digest,
        # The address soon stops working.
        "Cache-Control": "private, no-store",
    }
    response = HttpResponse(status=307, headers=headers)
    del response.headers["Content-Type"]
    return response
