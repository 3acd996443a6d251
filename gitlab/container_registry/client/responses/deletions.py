"""What was deleted, what that frees, and what came of it, as the registry answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from gitlab.container_registry.client.responses.reading import Object, moment


@dataclass(frozen=True)
class DeletedTag:
    """A tag of the image `path` that can be brought back until `until`."""

    path: str
    name: str
    digest: str
    size_bytes: int
    deleted_at: dt.datetime | None
    deleted_by: str
    until: dt.datetime | None

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            path=body.get("path") or "",
            name=body.get("name") or "",
            digest=body.get("digest") or "",
            size_bytes=int(body.get("size_bytes") or 0),
            deleted_at=moment(body.get("deleted_at")),
            deleted_by=body.get("deleted_by") or "",
            until=moment(body.get("until")),
        )


@dataclass(frozen=True)
class TagDeletion:
    """What came of deleting a tag that had to point at a digest: ``deleted moved gone``.

    `interval` is the part of its history that tells, which for one that is gone ended at `until`
    by `ended_by`.
    """

    name: str
    outcome: str
    digest: str = ""
    interval: int = 0
    until: dt.datetime | None = None
    ended_by: str = ""

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            name=body["name"],
            outcome=body["outcome"],
            digest=body.get("digest") or "",
            interval=int(body.get("interval") or 0),
            until=moment(body.get("until")),
            ended_by=body.get("ended_by") or "",
        )


@dataclass(frozen=True)
class Freed:
    """What a deletion would free: bytes that nothing else needs, and those that others share.

    Where `is_exact` is false, so much hangs on it that the numbers are the least. `missing` are the
    tags asked about that are not there.
    """

    alone_bytes: int = 0
    shared_bytes: int = 0
    manifests: int = 0
    is_exact: bool = True
    missing: tuple[str, ...] = ()

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            alone_bytes=body.get("alone_bytes") or 0,
            shared_bytes=body.get("shared_bytes") or 0,
            manifests=body.get("manifests") or 0,
            is_exact=body.get("exact") is not False,
            missing=tuple(str(name) for name in body.get("missing") or ()),
        )

    @classmethod
    def least(cls, parts: Iterable[Self]) -> Self:
        """What the parts of a deletion come to: what only they share counts as staying."""
        found = list(parts)
        return cls(
            alone_bytes=sum(part.alone_bytes for part in found),
            shared_bytes=sum(part.shared_bytes for part in found),
            manifests=sum(part.manifests for part in found),
            is_exact=False,
            missing=tuple(name for part in found for name in part.missing),
        )
