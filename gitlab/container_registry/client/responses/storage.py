"""What lies where and is used, and what comes there just now, as the registry answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from gitlab.container_registry.client.responses.reading import Object, moment


@dataclass(frozen=True)
class Used:
    """What lies at and below a path, as quotas are held against it.

    `is_counted` is false while the bytes are not counted yet.
    """

    path: str
    bytes: int
    images: int
    is_counted: bool

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Used:
        """One entry of ``/gitlab/v1/usage/``."""
        return cls(
            str(found["path"]),
            int(found["size_bytes"]),
            int(found["repositories_count"]),
            bool(found["counted"]),
        )


@dataclass(frozen=True)
class Stored:
    """What lies at and below a path, each blob once; `alone_bytes` is nowhere else that was seen.

    `waiting_bytes` wait for the collector: of `waiting_tags` and `waiting_images`, the first of
    which it may take at `first_until`, and the last at `last_until`. Where `is_exact` is false the
    bytes are the least.
    """

    path: str
    size_bytes: int = 0
    alone_bytes: int = 0
    images: int = 0
    tags: int = 0
    is_exact: bool = True
    waiting_bytes: int = 0
    waiting_tags: int = 0
    waiting_images: int = 0
    first_until: dt.datetime | None = None
    last_until: dt.datetime | None = None

    @classmethod
    def read(cls, body: Object) -> Self:
        """One entry of ``/gitlab/v1/statistics/``."""
        waiting = body.get("waiting") or {}
        return cls(
            path=str(body["path"]),
            size_bytes=int(body["size_bytes"]),
            alone_bytes=int(body["alone_bytes"]),
            images=int(body["repositories_count"]),
            tags=int(body["tags_count"]),
            is_exact=body.get("size_precision") == "default",
            waiting_bytes=int(waiting.get("size_bytes") or 0),
            waiting_tags=int(waiting.get("tags_count") or 0),
            waiting_images=int(waiting.get("repositories_count") or 0),
            first_until=moment(waiting.get("first_until")),
            last_until=moment(waiting.get("last_until")),
        )


@dataclass(frozen=True)
class Share:
    """A manifest with tags: what it refers to in bytes, and what no other of its image does.

    `names` are some of its `tags`, the latest first.
    """

    digest: str
    names: tuple[str, ...] = ()
    tags: int = 0
    size_bytes: int = 0
    alone_bytes: int = 0
    published_at: dt.datetime | None = None
    last_pulled_at: dt.datetime | None = None

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            digest=str(body["digest"]),
            names=tuple(str(name) for name in body.get("tags") or ()),
            tags=int(body.get("tags_count") or 0),
            size_bytes=int(body.get("size_bytes") or 0),
            alone_bytes=int(body.get("alone_bytes") or 0),
            published_at=moment(body.get("published_at")),
            last_pulled_at=moment(body.get("last_pulled_at")),
        )


@dataclass(frozen=True)
class Arriving:
    """A push that goes on: so many blobs have come, and so many are on their way.

    `actors` are the subjects whose uploads these are, as far as that is known.
    """

    path: str
    blobs: int = 0
    size_bytes: int = 0
    open: int = 0
    open_bytes: int = 0
    since: dt.datetime | None = None
    actors: tuple[str, ...] = ()


@dataclass(frozen=True)
class PushedTag:
    """A tag that was pushed lately, by the subject `actor`."""

    path: str
    tag: str
    digest: str
    actor: str
    at: dt.datetime | None


@dataclass(frozen=True)
class UnderWay:
    """What is being pushed at and below a path, what was pushed last, and the pulls of today."""

    arriving: tuple[Arriving, ...] = ()
    pushed: tuple[PushedTag, ...] = ()
    pulls_today: int = 0

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            arriving=tuple(
                Arriving(
                    path=str(each["path"]),
                    blobs=int(each["blobs_count"]),
                    size_bytes=int(each["size_bytes"]),
                    open=int(each["open_count"]),
                    open_bytes=int(each["open_bytes"]),
                    since=moment(each["since"]),
                    actors=tuple(map(str, each["actors"])),
                )
                for each in body["arriving"]
            ),
            pushed=tuple(
                PushedTag(
                    path=str(each["path"]),
                    tag=str(each["tag"]),
                    digest=str(each["digest"]),
                    actor=str(each["actor"]),
                    at=moment(each["at"]),
                )
                for each in body["pushed"]
            ),
            pulls_today=int(body["pulls_today"]),
        )
