"""What has happened, what has ended and what is used, as the registry answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from gitlab.container_registry.client.responses.reading import Object, moment


@dataclass(frozen=True)
class Happened:
    """An event of the registry. `tag` and `digest` are "" where it is about a whole image.

    `replaced` is where a tag pointed before its push. `user` is what GitLab's side put into the
    token by which it happened, "" for its own.
    """

    id: int
    at: dt.datetime | None
    action: str
    path: str
    tag: str = ""
    digest: str = ""
    media_type: str = ""
    actor: str = ""
    replaced: str = ""
    user: str = ""

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            id=int(body["id"]),
            at=moment(body.get("at")),
            action=body.get("action") or "",
            path=body.get("repository") or "",
            tag=body.get("tag") or "",
            digest=body.get("digest") or "",
            media_type=body.get("media_type") or "",
            actor=body.get("actor") or "",
            replaced=body.get("replaced") or "",
            user=body.get("user") or "",
        )


@dataclass(frozen=True)
class Ended:
    """Tokens that end: those of a credential, of a subject, about a path, or of a subject there."""

    credential: str = ""
    subject: str = ""
    path: str = ""


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
