"""Manifests that nothing holds but a repository that keeps them: found for cleanups, and deleted.

No open tag points at them, no index lists them, no subject is there that they are about; what an
index or a subject holds goes with it, and never before. See `garbage.holding`.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import NamedTuple

from django.db.models import Exists, Max, OuterRef, Q, QuerySet

from registry.actor import Actor
from registry.models import Manifest, Tag
from registry.services import database, manifests, repositories
from registry.services.garbage import holding

MAX_PAGE = 1000
"""Manifests that are looked at for a page."""

MAX_AT_ONCE = 100
"""Manifests of one deletion, which is one transaction."""


class Untagged(NamedTuple):
    """A manifest: `size` in bytes of what it refers to, and since when no tag points at it."""

    id: int
    digest: str
    size: int
    since: dt.datetime


def page(repository_id: int, after: int, limit: int) -> tuple[list[Untagged], int]:
    """Up to `limit` untagged ones among the next `MAX_PAGE` manifests after the id `after`; the id
    up to which was looked, 0 at the end.
    """
    here = Manifest.objects.filter(repository_id=repository_id, deleted_at=None, pk__gt=after)
    ids = list(here.order_by("pk").values_list("pk", flat=True)[: MAX_PAGE + 1])
    end = ids[MAX_PAGE - 1] if len(ids) > MAX_PAGE else 0
    unheld = _unheld(repository_id).filter(pk__in=ids[:MAX_PAGE])
    rows = list(unheld.order_by("pk")[: limit + 1])
    if len(rows) > limit:
        rows.pop()
        end = rows[-1].pk
    ended = dict(
        Tag.objects.filter(manifest_id__in=[row.pk for row in rows])
        .values_list("manifest_id")
        .annotate(ended=Max("ended_at"))
    )
    found = [
        Untagged(
            row.pk,
            row.digest,
            row.content_size,
            max(ended.get(row.pk, row.pushed_at), row.pushed_at),
        )
        for row in rows
    ]
    return found, end


def _unheld(repository_id: int) -> QuerySet[Manifest]:
    """Live manifests of a repository without a tag, a listing index and a subject."""
    listed = holding.listings(repository_id, OuterRef("digest")).filter(parent__deleted_at=None)
    subjects = Manifest.objects.filter(
        repository_id=repository_id, digest=OuterRef("subject_digest"), deleted_at=None
    )
    return (
        Manifest.objects.filter(repository_id=repository_id, deleted_at=None)
        .exclude(Q(Exists(holding.open_tags(OuterRef("pk")))))
        .exclude(Q(Exists(listed)))
        .exclude(Q(Exists(subjects)))
        .defer("payload")
    )


class Deletion(NamedTuple):
    """What came of a digest: ``deleted``, ``held`` by something since, or ``gone``.

    Of one that was deleted, now or before, `at` and `by` say when and by whom.
    """

    digest: str
    outcome: str
    at: dt.datetime | None = None
    by: str = ""


def delete(repository: str, wanted: Sequence[str], actor: Actor) -> list[Deletion]:
    """Delete those of the digests `wanted` that are untagged still.

    In one transaction; it can be undone within the window. Raises NAME_UNKNOWN, UNSUPPORTED.
    """
    repositories.require_deletion()
    with database.atomic():
        repository_id = repositories.hold(repository)
        found = _unheld(repository_id).filter(digest__in=wanted)
        now = set(found.values_list("digest", flat=True))
        for digest in sorted(now):
            manifests.delete(repository, digest, actor)
        rows = Manifest.objects.filter(repository_id=repository_id, digest__in=wanted)
        there = {row[0]: row for row in rows.values_list("digest", "deleted_at", "deleted_by")}
    return [_deletion(digest, there.get(digest), digest in now) for digest in wanted]


def _deletion(digest: str, row: tuple[str, dt.datetime | None, str] | None, now: bool) -> Deletion:
    if row is None:
        return Deletion(digest, "gone")
    if row[1] is None:
        return Deletion(digest, "held")
    return Deletion(digest, "deleted" if now else "gone", row[1], row[2])
