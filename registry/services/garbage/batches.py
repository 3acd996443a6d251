"""A batch of the collector: candidates of one kind, judged in one transaction."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Generic, TypeVar

from django.db.models import F
from django.utils import timezone

from registry.models import Manifest, Receipt, Repository, RepositoryBlob, Review
from registry.services import cursors, database

SIZE = 200
"""The most candidates of one transaction: enough that its commit is not what counts."""

SMALL = 40
"""Candidates of the first transaction, before it is known how long one takes."""

_LEAST = 5
_HELD, _HELD_FROM_OTHERS = 0.1, 0.01
"""Seconds that a transaction should take, and that it should where others wait for its end."""

_RECEIPT = (
    "kind",
    "digest",
    "repository",
    "bytes",
    "reason",
    "last_referrer",
    "garbage_since",
    "run",
    "removed_at",
    "cause",
)

Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Division(Generic[Key]):
    """Candidates of one kind, each with the repository that it is in, None where that is none."""

    kind: Review.Kind
    repository_ids: dict[Key, int | None]

    def pieces(self, size: Callable[[], int]) -> Iterator[Division[Key]]:
        """The same in divisions of `size` at most, which is asked before each."""
        left = iter(self.repository_ids.items())
        while piece := dict(islice(left, size())):
            yield Division(self.kind, piece)


def divide(rows: Sequence[tuple[Key, str, int]]) -> Iterator[Division[Key]]:
    """What is judged together: rows of a key, a kind and a target, in order of first appearance."""
    by_kind: dict[str, list[tuple[Key, int]]] = {}
    for key, kind, target in rows:
        by_kind.setdefault(kind, []).append((key, target))
    for kind, pairs in by_kind.items():
        # One step of a repository's purging is a batch by itself.
        size = 1 if kind == Review.Kind.REPOSITORY else SIZE
        for start in range(0, len(pairs), size):
            some = pairs[start : start + size]
            known = _repository_ids(Review.Kind(kind), [target for _, target in some])
            keys = {key: known.get(target) for key, target in some}
            yield Division(Review.Kind(kind), keys)


def _repository_ids(kind: Review.Kind, targets: list[int]) -> dict[int, int]:
    """The repositories that targets are in; none for a blob, and for what has gone."""
    if kind == Review.Kind.REPOSITORY:
        return {target: target for target in targets}
    if kind == Review.Kind.BLOB:
        return {}
    model: type[Manifest | RepositoryBlob] = (
        Manifest if kind == Review.Kind.MANIFEST else RepositoryBlob
    )
    return dict(model.objects.filter(pk__in=targets).values_list("pk", "repository_id"))


@dataclass
class Run:
    """What one call has done. `bytes` counts what was really freed in the store."""

    id: uuid.UUID = field(default_factory=uuid.uuid4)
    reviewed: int = 0
    removed: int = 0
    postponed: int = 0
    kept: int = 0
    bytes: int = 0
    size: int = SMALL
    """Candidates of the next transaction."""

    def pace(self, count: int, seconds: float, *, others_wait: bool) -> None:
        """Choose the size of the next transaction by how long one of `count` candidates has taken.

        It grows to twice the size at most: the next kind of candidates may take longer.
        """
        wanted = _HELD_FROM_OTHERS if others_wait else _HELD
        fitting = int(count * wanted / max(seconds, 0.001))
        self.size = max(_LEAST, min(fitting, 2 * self.size, SIZE))


@dataclass
class Batch:
    """What becomes of its candidates: each is kept, postponed, begun, or else removed.

    Nothing of it counts before the transaction has been committed.
    """

    run_id: uuid.UUID
    candidates: list[Review]
    repositories: dict[int, Repository] = field(default_factory=dict)
    kept: set[int] = field(default_factory=set)
    postponed: dict[int, dt.datetime] = field(default_factory=dict)
    begun: dict[int, dt.datetime] = field(default_factory=dict)
    doomed: list[str] = field(default_factory=list)
    receipts: list[tuple[object, ...]] = field(default_factory=list)

    def keep(self, candidate: Review) -> None:
        """Something refers to it; dropping that reference queues it again."""
        self.kept.add(candidate.pk)

    def postpone(self, candidate: Review, until: dt.datetime) -> None:
        """It is held until then."""
        self.postponed[candidate.pk] = until

    def go_on(self, candidate: Review, now: dt.datetime) -> None:
        """A step was done, and the next one is due at once."""
        self.begun[candidate.pk] = now

    def settle(self) -> list[Review]:
        """Write the verdicts into the queue; the candidates that are to be removed.

        Before anything is removed, since that queues: what is queued then must stay.
        """
        waiting = {**self.postponed, **self.begun}
        by_moment: defaultdict[dt.datetime, list[int]] = defaultdict(list)
        for pk, until in waiting.items():
            by_moment[until].append(pk)
        for until, pks in by_moment.items():
            Review.objects.filter(pk__in=pks).update(due_at=until, attempts=F("attempts") + 1)
        ended = [candidate.pk for candidate in self.candidates if candidate.pk not in waiting]
        Review.objects.filter(pk__in=ended).delete()
        return [c for c in self.candidates if c.pk not in waiting and c.pk not in self.kept]

    def receipt(
        self,
        kind: str,
        digest: str,
        repository: Repository | None,
        size: int,
        candidate: Review,
        last_referrer: str = "",
    ) -> None:
        """Note a removal and why it was sure."""
        self.receipts.append(
            (
                kind,
                digest,
                repository.name if repository else "",
                size,
                candidate.reason,
                last_referrer,
                candidate.queued_at,
                self.run_id,
                timezone.now(),
                candidate.cause,
            )
        )

    def write_receipts(self) -> None:
        """In the transaction that has removed what they are about."""
        if self.receipts:
            cursors.announce(Receipt)
            database.insert(Receipt, _RECEIPT, self.receipts)

    def count(self, run: Run) -> None:
        """Let `run` count what was committed."""
        run.reviewed += len(self.candidates)
        run.removed += len(self.receipts)
        run.postponed += len(self.postponed)
        run.kept += len(self.kept)


def receipts_after(cursor: int, limit: int) -> list[Receipt]:
    """The next `limit` receipts whose id is greater than `cursor`; see `cursors`."""
    last = cursors.settled(Receipt)
    found = Receipt.objects.filter(pk__gt=cursor).order_by("pk")
    return list((found if last is None else found.filter(pk__lte=last))[:limit])
