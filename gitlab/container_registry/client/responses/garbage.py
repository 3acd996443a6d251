"""What holds content, what the collector does and has done, as the registry answers."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from gitlab.container_registry.client.responses.reading import Object, moment


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
class Removals:
    """What the collector removed on a day, and the bytes that the store got back."""

    day: dt.date
    count: int
    bytes: int

    @classmethod
    def read(cls, found: Mapping[str, Any]) -> Self:
        """One of `Garbage.removed`."""
        day = dt.date.fromisoformat(str(found["day"]))
        return cls(day, int(found["count"]), int(found["bytes"]))


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
    """The queue of reviews. `raw` is what else the registry says of it.

    `removed` has the days of the last two weeks on which something went; an older registry of ours
    does not say. `faults` are those that the verification of the store has found.
    """

    due: int = 0
    next_due_at: dt.datetime | None = None
    paused_until: dt.datetime | None = None
    removed: tuple[Removals, ...] = ()
    faults: int = 0
    raw: Object = field(default_factory=dict)

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(
            body.get("due") or 0,
            moment(body.get("next_due_at")),
            moment(body.get("paused_until")),
            tuple(Removals.read(each) for each in body.get("removed") or ()),
            len((body.get("verification") or {}).get("faults") or ()),
            dict(body),
        )
