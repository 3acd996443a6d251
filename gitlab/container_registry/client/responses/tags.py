"""Images and their tags, what these point at and did, as the registry answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

from gitlab.container_registry.client.responses.manifests import Platform
from gitlab.container_registry.client.responses.reading import Object, moment, word


def _moment(text: object) -> dt.datetime | None:
    """A moment as a registry of ours writes it, None where it says none.

    Without the leniency that other registries need: a cleanup reads hundreds of thousands.
    """
    return dt.datetime.fromisoformat(text) if isinstance(text, str) else None


@dataclass(frozen=True)
class RepositoryDetails:
    """One image. `size_bytes` is None where the size was not asked for.

    `id` is the registry's own, 0 where it has none to tell: undo needs it.
    """

    name: str
    path: str
    tags_count: int
    size_bytes: int | None = None
    created_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    last_published_at: dt.datetime | None = None
    id: int = 0
    last_pulled_at: dt.datetime | None = None
    pulls_30_days: int = 0
    pulls_counted_since: dt.datetime | None = None
    """None where the registry does not count pulls."""
    pull_tag: str = ""
    """A tag that is there: ``latest`` if it can be; "" where there is none."""
    signature_tags_count: int = 0
    """How many of the tags are those by which cosign finds what belongs to an image."""

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            name=body.get("name") or "",
            path=body.get("path") or "",
            tags_count=body.get("tags_count") or 0,
            size_bytes=body.get("size_bytes"),
            created_at=moment(body.get("created_at")),
            updated_at=moment(body.get("updated_at")),
            last_published_at=moment(body.get("last_published_at")),
            id=body.get("id") or 0,
            last_pulled_at=moment(body.get("last_pulled_at")),
            pulls_30_days=body.get("pulls_30_days") or 0,
            pulls_counted_since=moment(body.get("pulls_counted_since")),
            pull_tag=word(body, "pull_tag"),
            signature_tags_count=body.get("signature_tags_count") or 0,
        )


@dataclass(frozen=True)
class TagDetails:
    """One tag and the manifest that it points at. Several platforms make it an index.

    `pulls` and `last_pulled_at` are the manifest's, by whatever reference, since they are counted.
    """

    name: str
    digest: str
    media_type: str
    config_digest: str = ""
    artifact_type: str = ""
    size_bytes: int = 0
    created_at: dt.datetime | None = None
    published_at: dt.datetime | None = None
    published_by: str = ""
    platforms: tuple[Platform, ...] = ()
    last_pulled_at: dt.datetime | None = None
    pulls_counted_since: dt.datetime | None = None
    """None where the registry does not count pulls."""
    pulls: int = 0
    restored_at: dt.datetime | None = None
    """When undo let it point there again; what it was before undo, it was `published_at`."""
    restored_by: str = ""
    belongings: tuple[str, ...] = ()
    """The types of what belongs to it, where that was asked for; of cosign's tags ``cosign.sig``,
    ``cosign.att``, ``cosign.sbom``."""

    @property
    def short_digest(self) -> str:
        """The first twelve digits, as docker shows them."""
        return self.digest.partition(":")[2][:12]

    @property
    def revision(self) -> str:
        """GitLab's word for the configuration's digest without the algorithm."""
        return self.config_digest.partition(":")[2]

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            name=body["name"],
            digest=body.get("digest") or "",
            media_type=body.get("media_type") or "",
            config_digest=body.get("config_digest") or "",
            artifact_type=body.get("artifact_type") or "",
            size_bytes=body.get("size_bytes") or 0,
            created_at=moment(body.get("created_at")),
            published_at=moment(body.get("published_at")),
            published_by=body.get("published_by") or "",
            platforms=tuple(Platform.read(entry) for entry in body.get("platforms") or []),
            last_pulled_at=moment(body.get("last_pulled_at")),
            pulls_counted_since=moment(body.get("pulls_counted_since")),
            pulls=body.get("pulls") or 0,
            restored_at=moment(body.get("restored_at")),
            restored_by=body.get("restored_by") or "",
            belongings=tuple(map(str, body.get("belongings") or ())),
        )


class TagAge(NamedTuple):
    """What a cleanup asks of a tag; thousands of these are read at once. As in `TagDetails`."""

    name: str
    digest: str
    size_bytes: int
    created_at: dt.datetime | None = None
    published_at: dt.datetime | None = None
    last_pulled_at: dt.datetime | None = None

    @classmethod
    def read(cls, row: Sequence[Any]) -> Self:
        """From the registry's short list."""
        name, digest, size, created, published, *pulled = row
        return cls(
            str(name),
            str(digest),
            int(size),
            _moment(created),
            _moment(published),
            _moment(pulled[0]) if pulled else None,
        )


@dataclass(frozen=True)
class AgesPage:
    """Some tags, what to pass as `last` for the following ones, and since when pulls are counted,
    None where they are not.
    """

    tags: Sequence[TagAge]
    next_last: str = ""
    pulls_counted_since: dt.datetime | None = None

    @classmethod
    def of(cls, page: TagsPage) -> Self:
        """The same of a page with all details."""
        since = [tag.pulls_counted_since for tag in page.tags if tag.pulls_counted_since]
        found = [
            TagAge(
                tag.name,
                tag.digest,
                tag.size_bytes,
                tag.created_at,
                tag.published_at,
                tag.last_pulled_at,
            )
            for tag in page.tags
        ]
        return cls(found, page.next_last, max(since, default=None))


@dataclass(frozen=True)
class TagsPage:
    """Some tags; what to pass as `last` for the following ones and as `before` for the earlier."""

    tags: list[TagDetails]
    next_last: str = ""
    previous_before: str = ""


@dataclass(frozen=True)
class FoundTag:
    """A tag that was searched for, in a repository; of a manifest that was found `tag` is ""."""

    path: str
    tag: str
    digest: str

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(word(body, "repository"), word(body, "tag"), word(body, "digest"))


@dataclass(frozen=True)
class DailyPulls:
    """How often something was pulled on a day (UTC) by a kind of `credential`."""

    day: dt.date
    credential: str
    pulls: int

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object. Raises `ValueError` where the day is none."""
        return cls(
            dt.date.fromisoformat(word(body, "day")),
            word(body, "credential"),
            int(body.get("pulls") or 0),
        )


@dataclass(frozen=True)
class Interval:
    """A time during which a tag pointed at a digest; `until` is None while it does.

    `is_restorable`: what it pointed at is still there. One that began with undo has a
    `restored_at`, which is `since`: it had been pushed before, at `pushed_at`.
    """

    digest: str
    since: dt.datetime | None
    until: dt.datetime | None
    pushed_by: str = ""
    ended_by: str = ""
    id: int = 0
    is_restorable: bool = False
    pushed_at: dt.datetime | None = None
    restored_at: dt.datetime | None = None
    restored_by: str = ""
    size_bytes: int | None = None

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            digest=body.get("digest") or "",
            since=moment(body.get("from")),
            until=moment(body.get("until")),
            pushed_by=body.get("pushed_by") or "",
            ended_by=body.get("ended_by") or "",
            id=body.get("id") or 0,
            is_restorable=body.get("restorable") is True,
            pushed_at=moment(body.get("pushed_at")) or moment(body.get("from")),
            restored_at=moment(body.get("restored_at")),
            restored_by=body.get("restored_by") or "",
            size_bytes=body.get("size_bytes"),
        )
