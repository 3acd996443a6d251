"""A manifest's push, in one transaction, which waits for the database as seldom as it can."""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.db.models import Exists, Max, OuterRef
from django.utils import timezone

from registry import crash_points
from registry import digest as digests
from registry import manifest as parsing
from registry.actor import Actor
from registry.errors import Code, RegistryError
from registry.manifest import Descriptor, ParsedManifest
from registry.models import Event, Manifest, Review, Tag
from registry.services import (
    blobs,
    content_sizes,
    database,
    events,
    image_configs,
    manifests,
    repositories,
    revocations,
    tags,
    usage,
)
from registry.services.garbage import reviews
from registry.services.image_configs import ImageConfig
from registry.storage import chosen as storage

# One by one, since of several at once PostgreSQL looks among all that the repository has.
_ID = """
(SELECT id FROM registry_manifest WHERE digest = %s{more}
AND repository_id = (SELECT id FROM registry_repository WHERE name = %s AND closed_at IS NULL))
"""
_ID_OR_DELETED, _LIVE_ID = _ID.format(more=""), _ID.format(more=" AND deleted_at IS NULL")
# The bytes again where they are here: if they were damaged, pushing them heals them.
_STORE = """
INSERT INTO registry_manifest
(repository_id, digest, media_type, artifact_type, config_digest, subject_digest, payload, size,
content_size, platforms, image_created_at, pushed_at, pushed_by, deleted_by)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, '')
ON CONFLICT (repository_id, digest) DO UPDATE SET deleted_at = NULL, deleted_by = '',
pushed_at = excluded.pushed_at, pushed_by = excluded.pushed_by, payload = excluded.payload,
size = excluded.size, content_size = excluded.content_size
RETURNING id
"""
_SIZE = 8
"""The place of the content's size in a row."""

_RESIZE = """
UPDATE registry_tag SET size = %s WHERE manifest_id = %s AND ended_at IS NULL AND size <> %s
"""
_IS_TAGGED = "SELECT 1 FROM registry_tag WHERE manifest_id = %s AND ended_at IS NULL LIMIT 1"
_BATCH = 500


@dataclass(frozen=True, slots=True)
class PushedManifest:
    """What a push has made: the manifest, and the tags that point at it now."""

    digest: str
    subject: str | None
    tags: tuple[str, ...]


def push(
    name: str,
    reference: str,
    payload: bytes,
    content_type: str | None,
    actor: Actor,
    more_tags: Sequence[str] = (),
) -> PushedManifest:
    """Store a manifest, and let tags point at it: `reference` where it is one, and `more_tags`.

    Every blob that it refers to has to be in this repository and in the store; a child of an index
    may be missing. All of it happens in one transaction, or nothing.

    Raises MANIFEST_INVALID, DIGEST_INVALID, TAG_INVALID, MANIFEST_BLOB_UNKNOWN, SIZE_INVALID,
    DENIED where a rule protects one of the tags, or more is used than a quota lets, and
    `revocations.News`.
    """
    manifests.check_reference(reference)
    by_digest = ":" in reference
    names = tags.check_all([*([] if by_digest else [reference]), *more_tags])
    actor.rules.refuse_push(names)
    parsed = parsing.parse(payload, content_type)
    if by_digest and digests.of(payload, digests.algorithm_of(reference)) != reference:
        raise RegistryError(Code.DIGEST_INVALID, digest=reference)
    usage.room(actor.quotas).refuse(0)
    # Asked before the repository is held, and side by side, since a store may take its time.
    sizes = storage.current().sizes(parsed.needed_blobs)
    config = image_configs.read(parsed.config)
    # Who has named a digest, which was checked, is asked for no other.
    known = [reference] if by_digest else [digests.of(payload, each) for each in digests.ALGORITHMS]
    with database.atomic():
        repository_id, asked = repositories.hold_and_ask(
            name, actor, lambda send: _Asked(name, known, parsed, names, send)
        )
        asked.notice_revocations()
        digest = asked.digest_of_tag(repository_id, reference)
        links = asked.links(parsed, sizes)
        row = _row(repository_id, digest, payload, parsed, config, actor)
        known_id = asked.id_of(digest)
        manifest_id = _store(row) if known_id is None else known_id
        # Whoever has named no tag is asked once more below.
        with database.together(commits=bool(names)) as send:
            if known_id is not None:
                send(_STORE, row)
                _resize_tags(known_id, parsed, row, send)
            crash_points.reached("manifest_stored")
            _refer(repository_id, manifest_id, parsed, links, send)
            crash_points.reached("manifest_referred")
            replaced: dict[str, str] = {}
            for tag, current in asked.currents():
                replaced[tag] = tags.move(
                    repository_id, tag, current, manifest_id, digest, actor, send
                )
                crash_points.reached("tag_pointed")
            for tag in names or ("",):
                events.record(
                    Event.Action.PUSH,
                    name,
                    actor,
                    tag=tag,
                    digest=digest,
                    media_type=parsed.media_type,
                    size=len(payload),
                    replaced=replaced.get(tag, ""),
                    send=send,
                )
        if not names and database.one(_IS_TAGGED, [manifest_id]) is None:
            reviews.queue(
                Review.Kind.MANIFEST, [manifest_id], "pushed without a tag", after=reviews.window()
            )
    crash_points.reached("manifest_committed")
    return PushedManifest(digest, parsed.subject.digest if parsed.subject else None, names)


class _Asked:
    """What a push asks of the repository that it holds, in one round trip."""

    def __init__(
        self,
        name: str,
        known: Sequence[str],
        parsed: ParsedManifest,
        names: Sequence[str],
        send: database.Together,
    ) -> None:
        """`known` are the digests that the manifest may be kept by, the first one most likely."""
        self._known = known
        self._latest = send(f"SELECT {revocations.LATEST}", [])
        columns = [_ID_OR_DELETED, *[_LIVE_ID] * (len(known) - 1)]
        values = [value for digest in known for value in (digest, name)]
        self._sent_ids = send(f"SELECT {', '.join(columns)}", values)
        here = [*parsed.needed_blobs, *sorted(parsed.foreign_blobs)]
        self._links = blobs.LinksHere(name, here, send)
        self._currents = [(tag, tags.ask(name, tag, send)) for tag in names]

    def notice_revocations(self) -> None:
        """Raises `revocations.News`, before anything has changed that stays."""
        row = self._latest.row
        revocations.notice(row[0] if row else None)

    @functools.cached_property
    def _ids(self) -> dict[str, int | None]:
        row = self._sent_ids.row
        return dict(zip(self._known, row or (), strict=True))

    def id_of(self, digest: str) -> int | None:
        """The id of the row that a manifest has here already, by a digest that is known."""
        return self._ids[digest]

    def digest_of_tag(self, repository_id: int, tag: str) -> str:
        """The digest by which a manifest is kept that is pushed by `tag` alone.

        It is that by which the tag has these bytes already, else that by which they are here, else
        their sha256: what somebody has pushed by its sha512 does not change its name.
        """
        # The common case, without the ORM: nobody has pushed it by another digest.
        if all(self._ids[digest] is None for digest in self._known[1:]):
            return self._known[0]
        current = Tag.objects.filter(name=tag, ended_at=None, manifest_id=OuterRef("pk"))
        here = Manifest.objects.filter(
            repository_id=repository_id, digest__in=self._known, deleted_at=None
        ).order_by(Exists(current).desc(), "digest")
        return here.values_list("digest", flat=True).first() or self._known[0]

    def links(self, parsed: ParsedManifest, sizes: dict[str, int | None]) -> list[int]:
        """The ids of this repository's rights to the blobs that the manifest refers to.

        All those that it needs, and of the foreign ones those that somebody has pushed all the
        same. `sizes` is what the store had a moment ago. It still has what there is a right to now,
        since bytes go after the last right to them; what it had not may have come since.
        """
        found = self._links.by_digest()
        _require_blobs(parsed.needed_blobs, found, sizes)
        return [link_id for link_id, _ in found.values()]

    def currents(self) -> Iterator[tuple[str, tuple[Any, ...] | None]]:
        """Each tag, and what `tags.move` wants to know of it."""
        for tag, sent in self._currents:
            yield tag, sent.row


def _require_blobs(
    needed: Mapping[str, Descriptor],
    found: Mapping[str, tuple[int, int]],
    sizes: Mapping[str, int | None],
) -> None:
    """Raises MANIFEST_BLOB_UNKNOWN, and MANIFEST_INVALID where a descriptor's size is wrong."""
    store = storage.current()
    missing = [
        d
        for d in needed
        if d not in found or (sizes[d] != found[d][1] and store.size(d) != found[d][1])
    ]
    if missing:
        raise RegistryError(
            Code.MANIFEST_BLOB_UNKNOWN,
            digest=missing[0],
            also=[(Code.MANIFEST_BLOB_UNKNOWN, {"digest": digest}) for digest in missing[1:50]],
        )
    for digest, descriptor in needed.items():
        if descriptor.size != found[digest][1]:
            raise RegistryError(
                Code.MANIFEST_INVALID,
                f"a descriptor says {descriptor.size} bytes where the blob has {found[digest][1]}",
                digest=digest,
            )


def _row(
    repository_id: int,
    digest: str,
    payload: bytes,
    parsed: ParsedManifest,
    config: ImageConfig,
    actor: Actor,
) -> list[Any]:
    """The values of `_STORE`."""
    content_size = parsed.content_size
    if parsed.is_index:
        content_size = content_sizes.of_index(repository_id, parsed.listed)
    return [
        repository_id,
        digest,
        parsed.media_type,
        parsed.artifact_type,
        parsed.config.digest if parsed.config else "",
        parsed.subject.digest if parsed.subject else None,
        payload,
        len(payload),
        content_size,
        json.dumps(parsed.platforms if parsed.is_index else config.platforms),
        config.created_at or _newest_child(repository_id, parsed),
        timezone.now(),
        actor.name,
    ]


def _store(row: list[Any]) -> int:
    """The id of the manifest's new row."""
    found = database.changed(_STORE, row)
    assert found is not None
    return int(found[0])


def _resize_tags(
    manifest_id: int, parsed: ParsedManifest, row: list[Any], send: database.Together
) -> None:
    """An index's size may have changed with the children that are here by now."""
    if parsed.is_index:
        size = row[_SIZE]
        send(_RESIZE, [size, manifest_id, size])


def _newest_child(repository_id: int, parsed: ParsedManifest) -> dt.datetime | None:
    names = [child.digest for child in parsed.children]
    made: list[dt.datetime | None] = []
    for start in range(0, len(names), _BATCH):
        here = Manifest.objects.filter(
            repository_id=repository_id,
            digest__in=names[start : start + _BATCH],
            deleted_at=None,
        )
        made.append(here.aggregate(Max("image_created_at"))["image_created_at__max"])
    return max(filter(None, made), default=None)


def _refer(
    repository_id: int,
    manifest_id: int,
    parsed: ParsedManifest,
    links: list[int],
    send: database.Together,
) -> None:
    """The rows of what the manifest refers to. What is referred to is not up for review."""
    named = [(manifest_id, link_id) for link_id in links]
    database.insert_new("registry_manifestblob", named, send)
    reviews.drop(Review.Kind.LINK, links, send)
    # What need not be here may come later: it is held from then on, as manifest or as blob.
    manifests.list_digests(repository_id, manifest_id, parsed.listed, send)
