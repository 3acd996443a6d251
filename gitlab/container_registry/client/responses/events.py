"""What has happened, what has ended and what is used, as the registry answers."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Self

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
