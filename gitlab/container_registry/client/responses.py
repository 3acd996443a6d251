"""What the registry answers, as values. Unknown keys are ignored; times are in UTC."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Self

Object = Mapping[str, Any]

MAX_MARKS = 1_000_000
"""Quotes and brackets in a document that is read. Each costs many times its byte in memory; ten
thousand descriptors with all that is usual in them have half of that."""

MAX_TEXT = 255
"""Characters of a word in a manifest. A media type has 255 at most (RFC 6838, section 4.2)."""

MAX_SIZE = 2**63 - 1


def read_json(payload: bytes) -> Any:
    """The value of a JSON document, in which every text is one.

    The one way in for what a registry says. JSON may hold half of a surrogate pair (``\\ud800``),
    which no encoding has: U+FFFD stands in its place. Raises `ValueError`, also where there is too
    much in it to be read.
    """
    if sum(map(payload.count, (b'"', b"[", b"{"))) > MAX_MARKS:
        raise ValueError("the JSON says too much")
    try:
        found = json.loads(payload)
        if b"\\ud" in payload or b"\\uD" in payload:
            units = json.dumps(found, ensure_ascii=False).encode("utf-16-le", "surrogatepass")
            found = json.loads(units.decode("utf-16-le", "replace"))
    except RecursionError as error:
        raise ValueError("the JSON is nested too deeply") from error
    return found


def word(body: Object, key: str) -> str:
    """A text of a descriptor, at most `MAX_TEXT` characters; "" where it has none."""
    return str(body.get(key) or "")[:MAX_TEXT]


def moment(text: object) -> dt.datetime | None:
    """A time of RFC 3339 in UTC, or None where there is none, or Go's zero for none."""
    if not isinstance(text, str) or not text:
        return None
    try:
        found = dt.datetime.fromisoformat(text[:64])
        found = found.astimezone(dt.UTC) if found.tzinfo else found.replace(tzinfo=dt.UTC)
    except (ValueError, OverflowError):
        return None
    return found if found.year > 1 else None


def _since_epoch(seconds: object) -> dt.datetime | None:
    """A moment by the seconds since the epoch, or None where there is none."""
    if not isinstance(seconds, int | float):
        return None
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


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
class Platform:
    """What an image runs on; its text is docker's ``linux/arm64/v8``."""

    os: str
    architecture: str
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    @classmethod
    def read(cls, body: Object) -> Self:
        """From a descriptor's ``platform``, an image's configuration, or the registry's object."""
        return cls(word(body, "os"), word(body, "architecture"), word(body, "variant"))


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
        """From the registry's short list, whose times are seconds since the epoch."""
        name, digest, size, created, published, *pulled = row
        return cls(
            str(name),
            str(digest),
            int(size),
            _since_epoch(created),
            _since_epoch(published),
            _since_epoch(pulled[0]) if pulled else None,
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
class Part:
    """What a manifest refers to: a layer, or in an index a manifest with its platform."""

    digest: str
    size_bytes: int
    media_type: str
    platform: Platform | None = None
    artifact_type: str = ""

    @property
    def is_attestation(self) -> bool:
        """Whether it is what buildx adds: a statement about its neighbours, for no platform."""
        return self.platform is not None and self.platform.os == "unknown"

    @classmethod
    def read(cls, body: Object) -> Self:
        """From a descriptor. Raises `ValueError`, `TypeError`, … where it is none."""
        platform = body.get("platform")
        return cls(
            digest=word(body, "digest"),
            size_bytes=min(max(0, int(body.get("size") or 0)), MAX_SIZE),
            media_type=word(body, "mediaType"),
            platform=Platform.read(platform) if platform else None,
            artifact_type=word(body, "artifactType"),
        )


@dataclass(frozen=True)
class Referrer:
    """A manifest that names another one as its subject: a signature, say."""

    digest: str
    media_type: str
    size_bytes: int
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, body: Object) -> Self:
        """From a descriptor. Raises `ValueError`, `TypeError`, … where it is none."""
        part = Part.read(body)
        said = body.get("annotations") or {}
        return cls(
            part.digest,
            part.media_type,
            part.size_bytes,
            part.artifact_type,
            {str(key): str(value) for key, value in dict(said).items()},
        )


@dataclass(frozen=True)
class ReferrersPage:
    """Some referrers; what to pass as `last` for the following ones, "" where there are none."""

    referrers: list[Referrer]
    next_last: str = ""


@dataclass(frozen=True)
class StoredManifest:
    """The exact bytes of a manifest."""

    media_type: str
    payload: bytes

    def parts(self, key: str) -> list[Part]:
        """``layers`` or ``manifests``; nothing where it has none, or says too much to be read."""
        try:
            return [Part.read(entry) for entry in read_json(self.payload).get(key) or []]
        except (ValueError, TypeError, AttributeError, OverflowError):
            return []


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


@dataclass(frozen=True)
class ManifestDetails:
    """What the registry knows of a manifest. `size_bytes` is of what it refers to, each blob once.

    `subject` is the digest of what it belongs to, "" where it says none.
    """

    digest: str
    media_type: str
    artifact_type: str = ""
    config_digest: str = ""
    subject: str = ""
    size_bytes: int = 0
    created_at: dt.datetime | None = None
    pushed_at: dt.datetime | None = None
    pushed_by: str = ""
    platforms: tuple[Platform, ...] = ()
    platforms_count: int = 0

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            digest=body["digest"],
            media_type=body.get("media_type") or "",
            artifact_type=body.get("artifact_type") or "",
            config_digest=body.get("config_digest") or "",
            subject=body.get("subject") or "",
            size_bytes=body.get("size_bytes") or 0,
            created_at=moment(body.get("created_at")),
            pushed_at=moment(body.get("pushed_at")),
            pushed_by=body.get("pushed_by") or "",
            platforms=tuple(Platform.read(entry) for entry in body.get("platforms") or []),
            platforms_count=body.get("platforms_count") or 0,
        )


@dataclass(frozen=True)
class SharedBlob:
    """A blob that `count` other images have too, the first of which are named."""

    digest: str
    count: int
    names: tuple[str, ...]

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(body["digest"], int(body["count"]), tuple(body.get("names") or ()))


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


@dataclass(frozen=True)
class Holder:
    """A chain of what holds a digest in an image. `until` is None where it holds without an end.

    A step of the chain has a ``kind`` (``manifest``, ``index``, ``subject``, ``tag``, …) and maybe
    a ``digest``, a ``name``, a ``media_type`` or a ``reason``.
    """

    path: str
    chain: tuple[Mapping[str, str], ...] = ()
    until: dt.datetime | None = None

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        steps = (step for step in body.get("chain") or [] if isinstance(step, Mapping))
        return cls(
            path=body.get("repository") or "",
            chain=tuple({str(key): str(value) for key, value in step.items()} for step in steps),
            until=moment(body.get("until")),
        )


@dataclass(frozen=True)
class Held:
    """Why a digest is still there. `state` is ``held``, ``garbage``, ``removed`` or ``unknown``.

    What is ``garbage`` goes at `goes_at`, `because` of what. `is_complete` is false where more
    holds it than was looked at; nothing is collected before `paused_until`.
    """

    digest: str
    state: str = "unknown"
    kinds: tuple[str, ...] = ()
    size_bytes: int | None = None
    is_stored: bool = False
    goes_at: dt.datetime | None = None
    because: str = ""
    paused_until: dt.datetime | None = None
    is_complete: bool = True
    holders: tuple[Holder, ...] = ()

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            digest=body.get("digest") or "",
            state=body.get("state") or "unknown",
            kinds=tuple(body.get("kinds") or ()),
            size_bytes=body.get("bytes"),
            is_stored=body.get("stored") is True,
            goes_at=moment(body.get("goes_at")),
            because=body.get("because") or "",
            paused_until=moment(body.get("paused_until")),
            is_complete=body.get("complete") is not False,
            holders=tuple(Holder.read(entry) for entry in body.get("holders") or []),
        )


@dataclass(frozen=True)
class ReviewRun:
    """What one batch of reviews did, and what is still due."""

    reviewed: int = 0
    removed: int = 0
    postponed: int = 0
    freed_bytes: int = 0
    left_due: int = 0
    next_due_at: dt.datetime | None = None

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            reviewed=body.get("reviewed") or 0,
            removed=body.get("removed") or 0,
            postponed=body.get("postponed") or 0,
            freed_bytes=body.get("bytes") or 0,
            left_due=body.get("left_due") or 0,
            next_due_at=moment(body.get("next_due_at")),
        )


@dataclass(frozen=True)
class Collected:
    """What was collected because of a job: `bytes` of blobs, the last thing `at`.

    `waiting` reviews are still to come because of it: where there are none, the collector is done.
    """

    waiting: int
    bytes: int
    at: dt.datetime | None = None

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            int(body.get("waiting") or 0),
            int(body.get("bytes") or 0),
            moment(body.get("last_removed_at")),
        )


@dataclass(frozen=True)
class Garbage:
    """The queue of reviews. `raw` is what else the registry says of it."""

    due: int = 0
    next_due_at: dt.datetime | None = None
    raw: Object = field(default_factory=dict)

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(body.get("due") or 0, moment(body.get("next_due_at")), dict(body))
