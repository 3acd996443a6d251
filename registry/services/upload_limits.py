"""How large an upload may become, and how many somebody may have under way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from django.conf import settings

from registry.errors import Code, RegistryError
from registry.models import UploadSession
from registry.quotas import NO_QUOTAS, Quotas
from registry.services import usage
from registry.storage.base import Chunk

UNASKED = 16 * 1024 * 1024
"""Bytes of an upload that may come before a quota is asked whether they fit: the commit asks at any
rate, and of little is little lost.
"""


def require_room(offset: int, more: int | None) -> None:
    """Raises SIZE_INVALID with 413 where `more` bytes behind `offset` would be too many."""
    limit = settings.REGISTRY_MAX_BLOB_SIZE
    if offset + (more or 0) > limit:
        raise RegistryError(Code.SIZE_INVALID, f"a blob has at most {limit} bytes", status=413)


def refuse_large(quotas: Quotas, size: int, digest: str = "") -> None:
    """Raises DENIED where so many bytes are worth asking, and don't fit."""
    if quotas and size > UNASKED:
        usage.room(quotas).refuse(size, digest)


def limited(
    chunks: Iterable[Chunk], offset: int, quotas: Quotas = NO_QUOTAS, digest: str = ""
) -> Iterator[Chunk]:
    """`chunks`, which come behind `offset`, as long as there is room for what has come."""
    for chunk in chunks:
        require_room(offset, len(chunk))
        offset += len(chunk)
        if quotas and offset > UNASKED:
            usage.room(quotas).refuse(offset, digest)
        yield chunk


def refuse_one_more(session: UploadSession) -> None:
    """Raises TOOMANYREQUESTS where somebody has as many uploads under way as anybody may.

    Of the session's first part: one that has none is no row. Of several at once each may have the
    last one.
    """
    most = settings.REGISTRY_UPLOADS_PER_PERSON
    if session.opened_by and session.is_one_too_many:
        raise RegistryError(
            Code.TOOMANYREQUESTS,
            f"{most} uploads of {session.opened_by} are under way: end some, or wait until they"
            " expire",
        )
