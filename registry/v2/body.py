"""Reading a request's body, with a length or chunked, in constant memory.

Django shows an empty body where a request is chunked, as docker's PATCH is, and application servers
return a body that was cut short as if it were whole. So the server's own stream is read here, and
counted. Nobody else touches it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from registry.errors import Code, RegistryError
from registry.storage.base import CHUNK, Chunk
from registry.v2.gunicorn_stream import open_stream


class Body:
    """The body of one request. It can be read once."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self._environ = environ
        self._input = environ["wsgi.input"]
        self.is_chunked = _is_chunked(environ.get("HTTP_TRANSFER_ENCODING", ""))
        self.length = None if self.is_chunked else _length(environ.get("CONTENT_LENGTH"))
        self.expected: int | None = None
        """How long a chunked body has to be, where the client has said so elsewhere."""

    @property
    def announced(self) -> int | None:
        """How many bytes the client says that there are, None where it has not said."""
        return self.expected if self.length is None else self.length

    def chunks(self) -> Iterator[Chunk]:
        """The body in pieces. Raises SIZE_INVALID where it ends before its announced length."""
        if self.length is None:
            yield from self._all()
            return
        if self.length and (stream := open_stream(self._environ)):
            yield from self._named(stream.pieces())
            return
        yield from self._named(self._counted(self.length))

    def _counted(self, left: int) -> Iterator[Chunk]:
        while left:
            chunk: bytes = self._input.read(min(CHUNK, left))
            if not chunk:
                raise RegistryError(
                    Code.SIZE_INVALID,
                    f"the body ended {left} bytes before its announced length",
                )
            left -= len(chunk)
            yield chunk

    def _all(self) -> Iterator[Chunk]:
        size = 0
        stream = open_stream(self._environ)
        pieces = stream.pieces() if stream else iter(lambda: self._input.read(CHUNK), b"")
        for chunk in self._named(pieces):
            size += len(chunk)
            yield chunk
        if self.expected is not None and size != self.expected:
            raise RegistryError(
                Code.SIZE_INVALID, f"the body has {size} bytes, announced were {self.expected}"
            )

    def _named(self, pieces: Iterator[Chunk]) -> Iterator[Chunk]:
        """`pieces`, where what breaks off on the way gets the protocol's name."""
        received = 0
        try:
            for piece in pieces:
                received += len(piece)
                yield piece
        except (OSError, EOFError, ValueError) as error:
            raise RegistryError(
                Code.SIZE_INVALID, "the connection or the chunked coding broke off"
            ) from error
        finally:
            # For the middleware that counts; a chunked body announces no length.
            self._environ["berth.received"] = received

    def read_whole(self, limit: int) -> bytes:
        """All of the body, where it has at most `limit` bytes. Raises MANIFEST_INVALID with 413."""
        too_large = RegistryError(
            Code.MANIFEST_INVALID, f"a manifest has at most {limit} bytes", status=413
        )
        if self.length is not None and self.length > limit:
            raise too_large
        pieces: list[bytes] = []
        size = 0
        for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise too_large
            pieces.append(bytes(chunk))
        return b"".join(pieces)


def _is_chunked(codings: str) -> bool:
    """Whether the body is in the chunked coding. Raises UNSUPPORTED with 501 for any other.

    A body that is compressed on the way would be stored as it is, under a digest that nobody could
    ask for (RFC 9112, 6.1).
    """
    found = codings.strip(" \t").lower()
    if found not in ("", "chunked"):
        raise RegistryError(
            Code.UNSUPPORTED, "of transfer codings only chunked is understood", status=501
        )
    return bool(found)


def _length(text: str | None) -> int:
    if not text:
        return 0
    if not text.isascii() or not text.isdecimal():
        raise RegistryError(Code.SIZE_INVALID, "Content-Length is a number")
    return int(text)
