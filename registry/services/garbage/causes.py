"""What a job of GitLab's side has come to: what was collected because of it, and what still waits.

A job names itself in its token (``meta.cause``). What loses its last reference by it is reviewed in
its name, and so is what is queued because that has gone; receipts carry it on.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from django.db.models import Count, Max, Q, Sum

from registry.models import Receipt, Review


@dataclass(frozen=True, slots=True)
class Collected:
    """How many things were `removed`, and the `bytes` of the blobs among them, the last `at`.

    `waiting` reviews are still to come: where there are none, the collector is done.
    """

    waiting: int
    removed: int
    bytes: int
    at: dt.datetime | None


def collected(cause: str) -> Collected:
    """What was collected because of a job; nothing of one that is not known. Two queries."""
    # First what waits: what is removed in between then counts twice rather than not at all.
    waiting = Review.objects.filter(cause=cause).exclude(cause="").count()
    blobs = Q(kind=Review.Kind.BLOB)
    found = (
        Receipt.objects.filter(cause=cause)
        .exclude(cause="")
        .aggregate(n=Count("id"), size=Sum("bytes", filter=blobs), at=Max("removed_at"))
    )
    return Collected(waiting, found["n"], found["size"] or 0, found["at"])
