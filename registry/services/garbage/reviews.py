"""The review queue: what may have become garbage, and when to look.

Filled in the transaction that drops a reference, so that collecting costs what there is to collect.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from registry.models import Review
from registry.services import database

_INTO = "INSERT INTO registry_review (kind, target, reason, queued_at, due_at, cause, attempts)"
_AGAIN = """
ON CONFLICT (kind, target) DO UPDATE
SET due_at = excluded.due_at, reason = excluded.reason, cause = excluded.cause
"""
_QUEUE = f"{_INTO} VALUES (%s, %s, %s, %s, %s, %s, 0) {_AGAIN}"

QUEUE_DANGLING_OF = f"""
{_INTO} SELECT 'link', l.id, %s, %s, %s, '', 0 FROM {{rights}}
AND NOT EXISTS (SELECT 1 FROM registry_manifestblob m WHERE m.link_id = l.id) {_AGAIN}
"""
"""SQL: a review with `of_dangling` of each right `l` of some that no manifest names."""

_QUEUE_DANGLING = QUEUE_DANGLING_OF.format(
    rights="registry_repositoryblob l WHERE l.repository_id = %s"
    " AND l.blob_id = (SELECT id FROM registry_blob WHERE digest = %s)"
)
_DROP = "DELETE FROM registry_review WHERE kind = %s AND target IN ({holes})"
_BATCH = 500


def grace() -> dt.timedelta:
    """How long a dangling thing is left alone."""
    delay: dt.timedelta = settings.REGISTRY_GC_REVIEW_DELAY
    return delay


def window() -> dt.timedelta:
    """How long what was deleted stays whole: the longer of the grace and the undo window."""
    return max(grace(), settings.UNDO_WINDOW)


def queue(
    kind: Review.Kind,
    targets: Iterable[int],
    reason: str,
    *,
    after: dt.timedelta | None = None,
    cause: str = "",
    send: database.Together | None = None,
) -> None:
    """Have `targets` reviewed `after` from now (default: the grace).

    A target that waits already is looked at then, and not when it was due before: a right's grace
    only grows by that, and the windows of all else are asked again when it is judged. `cause` is
    the job of GitLab's side that has dropped the reference. With `send`, together with other
    statements.
    """
    now = timezone.now()
    due = now + (grace() if after is None else after)
    values = [[kind.value, target, reason, now, due, cause] for target in sorted(set(targets))]
    if send is None:
        database.change_many(_QUEUE, values)
        return
    for each in values:
        send(_QUEUE, each)


def queue_dangling(repository_id: int, digest: str, reason: str, send: database.Together) -> None:
    """As `queue`, for a repository's right to a blob, where no manifest names it.

    It is sent together with what makes the right.
    """
    send(_QUEUE_DANGLING, [*of_dangling(reason), repository_id, digest])


def of_dangling(reason: str) -> list[object]:
    """The values that `QUEUE_DANGLING_OF` begins with."""
    now = timezone.now()
    return [reason, now, now + grace()]


def drop(kind: Review.Kind, targets: Iterable[int], send: database.Together | None = None) -> None:
    """`targets` are in use: there is nothing to review.

    With `send`, together with other statements.
    """
    values = list(targets)
    for start in range(0, len(values), _BATCH):
        some = values[start : start + _BATCH]
        sql = _DROP.format(holes=", ".join(["%s"] * len(some)))
        (send or database.change)(sql, [kind.value, *some])


def is_far(due_at: dt.datetime) -> bool:
    """Whether what is due then is protected for nine tenths of the grace at least."""
    return due_at >= timezone.now() + grace() * 0.9


def promise_link(link_id: int) -> bool:
    """Protect a right to a blob for the grace, since somebody has been told that it is here.

    Whether it was still up for review; False where the collector was quicker, or nobody queued it.
    """
    found = Review.objects.filter(kind=Review.Kind.LINK, target=link_id)
    return found.update(due_at=timezone.now() + grace(), attempts=F("attempts")) > 0


def next_due_at() -> dt.datetime | None:
    """When the next candidate is due, None where none waits."""
    return Review.objects.order_by("due_at").values_list("due_at", flat=True).first()


def due() -> int:
    """How many candidates are due now."""
    return Review.objects.filter(due_at__lte=timezone.now()).count()
