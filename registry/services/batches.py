"""A batch of the collector: candidates of one kind and one repository, judged in one transaction."""

from __future__ import annotations

import datetime as dt
import uuid
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from django.db.models import F

from registry.models import Manifest, Receipt, Repository, RepositoryBlob, Review

SIZE = 100
"""Candidates of one transaction: enough that its commit is not what counts."""

_IN_A_QUERY = 500
Key = TypeVar("Key")


def divide(
    rows: Sequence[tuple[Key, str, int]],
) -> Iterator[tuple[Review.Kind, int | None, list[Key]]]:
    """What is judged together: rows of a key, a kind and a target, in order of first appearance.

    Each part has one kind and one repository, which is None where a target needs none or has gone.
    """
    places: dict[str, dict[int, int]] = {
        Review.Kind.MANIFEST: _repositories(
            Manifest, [target for _, kind, target in rows if kind == Review.Kind.MANIFEST]
        ),
        Review.Kind.LINK: _repositories(
            RepositoryBlob, [target for _, kind, target in rows if kind == Review.Kind.LINK]
        ),
        Review.Kind.BLOB: {},
        Review.Kind.REPOSITORY: {
            target: target for _, kind, target in rows if kind == Review.Kind.REPOSITORY
        },
    }
    groups: dict[tuple[str, int | None], list[Key]] = {}
    for key, kind, target in rows:
        groups.setdefault((kind, places[kind].get(target)), []).append(key)
    for (kind, repository_id), keys in groups.items():
        for start in range(0, len(keys), SIZE):
            yield Review.Kind(kind), repository_id, keys[start : start + SIZE]


def _repositories(model: type[Manifest | RepositoryBlob], ids: list[int]) -> dict[int, int]:
    found: dict[int, int] = {}
    for start in range(0, len(ids), _IN_A_QUERY):
        some = model.objects.filter(pk__in=ids[start : start + _IN_A_QUERY])
        found |= dict(some.values_list("pk", "repository_id"))
    return found


@dataclass
class Run:
    """What one call has done. `bytes` counts what was really freed in the store."""

    id: uuid.UUID = field(default_factory=uuid.uuid4)
    reviewed: int = 0
    removed: int = 0
    postponed: int = 0
    kept: int = 0
    bytes: int = 0


@dataclass
class Batch:
    """What becomes of its candidates: each is kept, postponed, begun, or else removed.

    Nothing of it counts before the transaction has been committed.
    """

    run_id: uuid.UUID
    candidates: list[Review]
    kept: set[int] = field(default_factory=set)
    postponed: dict[int, dt.datetime] = field(default_factory=dict)
    begun: dict[int, dt.datetime] = field(default_factory=dict)
    doomed: list[str] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)

    def keep(self, candidate: Review) -> None:
        """Something refers to it; whoever drops that reference queues it again."""
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
            Receipt(
                kind=kind,
                digest=digest,
                repository=repository.name if repository else "",
                bytes=size,
                reason=candidate.reason,
                last_referrer=last_referrer,
                garbage_since=candidate.queued_at,
                run=self.run_id,
            )
        )

    def count(self, run: Run) -> None:
        """Let `run` count what was committed."""
        run.reviewed += len(self.candidates)
        run.removed += len(self.receipts)
        run.postponed += len(self.postponed)
        run.kept += len(self.kept)
