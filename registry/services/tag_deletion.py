"""Deleting tags on a condition: each only while it points at what it did when that was decided."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from django.utils import timezone

from registry.actor import Actor
from registry.models import Event, ManifestPulls, Review, Tag
from registry.services import database, events, repositories
from registry.services.garbage import reviews

MAX_AT_ONCE = 100
"""Tags of one call, which is one transaction."""


class Outcome(StrEnum):
    """What came of one tag."""

    DELETED = "deleted"
    MOVED = "moved"
    PROTECTED = "protected"
    PULLED = "pulled"
    GONE = "gone"


@dataclass(frozen=True)
class Deletion:
    """What came of a tag, and the interval of its history that tells.

    `interval` is its id, 0 where there never was such a tag: the one that was ended now (deleted),
    the one that is open (moved, protected, pulled), or the last one (gone), with its end and
    whoever ended it.
    """

    name: str
    outcome: Outcome
    digest: str = ""
    interval: int = 0
    ended_at: dt.datetime | None = None
    ended_by: str = ""


def delete_unmoved(
    repository: str,
    wanted: Sequence[tuple[str, str]],
    actor: Actor,
    *,
    unless_pulled_since: dt.datetime | None = None,
) -> list[Deletion]:
    """Take away those of the tags `wanted` that still point at the digest given with their name.

    One that points elsewhere stays, one that a rule of the token protects, and one whose manifest
    has been pulled since a moment. In one transaction; what the tags pointed at stays until nothing
    else holds it. Raises NAME_UNKNOWN, UNSUPPORTED.
    """
    repositories.require_deletion()
    names = [name for name, _ in wanted]
    with database.atomic():
        repository_id = repositories.hold(repository)
        here = Tag.objects.filter(repository_id=repository_id, name__in=names)
        current = {tag.name: tag for tag in here.filter(ended_at=None)}
        there = [name for name, digest in wanted if _is_at(current.get(name), digest)]
        kept = dict.fromkeys(filter(actor.rules.keeps, there), Outcome.PROTECTED)
        left = [current[name] for name in there if name not in kept]
        pulled = _pulled_since(unless_pulled_since, left)
        kept |= {tag.name: Outcome.PULLED for tag in left if tag.manifest_id in pulled}
        ending = [tag for tag in left if tag.name not in kept]
        now = timezone.now()
        ids = [tag.pk for tag in ending]
        Tag.objects.filter(pk__in=ids).update(ended_at=now, ended_by=actor.name)
        held = {tag.manifest_id for tag in ending if tag.manifest_id is not None}
        reviews.queue(Review.Kind.MANIFEST, sorted(held), "tag deleted", cause=actor.cause)
        for tag in ending:
            events.record(Event.Action.DELETE, repository, actor, tag=tag.name, digest=tag.digest)
        past = {tag.name: tag for tag in here.exclude(ended_at=None).order_by("pk")}
    gone = set(ids)
    found = [_deletion(name, current.get(name), past.get(name), gone) for name in names]
    return [replace(each, outcome=kept.get(each.name, each.outcome)) for each in found]


def _pulled_since(moment: dt.datetime | None, tags: Sequence[Tag]) -> set[int]:
    """The ids of the manifests of `tags` that were pulled behind a moment; none without one."""
    if moment is None:
        return set()
    ids = {tag.manifest_id for tag in tags if tag.manifest_id is not None}
    found = ManifestPulls.objects.filter(manifest_id__in=ids, last_at__gt=moment)
    return set(found.values_list("manifest_id", flat=True))


def _is_at(tag: Tag | None, digest: str) -> bool:
    return tag is not None and tag.digest == digest


def _deletion(name: str, current: Tag | None, past: Tag | None, gone: set[int]) -> Deletion:
    if current is not None and current.pk not in gone:
        return Deletion(name, Outcome.MOVED, current.digest, current.pk)
    if past is None:
        return Deletion(name, Outcome.GONE)
    outcome = Outcome.GONE if current is None else Outcome.DELETED
    return Deletion(name, outcome, past.digest, past.pk, past.ended_at, past.ended_by)
