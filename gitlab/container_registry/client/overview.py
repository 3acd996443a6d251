"""What our registry tells of one tag or manifest in one answer, for a page about it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

from gitlab.container_registry.client.responses import (
    DailyPulls,
    Interval,
    ManifestDetails,
    Object,
    Referrer,
    ReferrersPage,
    SharedBlob,
    TagDetails,
    word,
)


@dataclass(frozen=True)
class Part:
    """Which part of a tag's history is asked for: `n` intervals behind the interval `last`, of
    those that had begun `before` a moment.
    """

    n: int
    last: int = 0
    before: dt.datetime | None = None


@dataclass(frozen=True)
class Signature:
    """A tag by which cosign finds what belongs to a manifest, and what it points at."""

    name: str
    digest: str
    size_bytes: int

    @property
    def kind(self) -> str:
        """``sig``, ``att`` or ``sbom``."""
        return self.name.rpartition(".")[2]

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        return cls(word(body, "name"), word(body, "digest"), int(body.get("size_bytes") or 0))


@dataclass(frozen=True)
class Overview:
    """A manifest with what belongs to it. `digest` is "" where the tag is gone: then there is its
    history and no more.

    `manifests` has by digest what is known of it, of what it lists and of what the history names.
    `below` has by digest what refers to some of the `referrers` in turn. `shared_blobs` is None
    where it was not asked for, or too many images would have to be looked through. Where the answer
    is not `is_whole` some of the manifests or blobs may be missing that are there.
    """

    digest: str = ""
    tag: TagDetails | None = None
    has_config: bool = False
    is_whole: bool = True
    history: Sequence[Interval] = ()
    manifests: Mapping[str, ManifestDetails] = field(default_factory=dict)
    referrers: ReferrersPage = field(default_factory=lambda: ReferrersPage([]))
    below: Mapping[str, Sequence[Referrer]] = field(default_factory=dict)
    signatures: Sequence[Signature] = ()
    pulls: Sequence[DailyPulls] = ()
    shared_blobs: Mapping[str, SharedBlob] | None = None

    @classmethod
    def read(cls, body: Object) -> Self:
        """From the registry's object."""
        digest = word(body, "digest")
        own: list[Referrer] = []
        below: dict[str, list[Referrer]] = {}
        for each in body.get("referrers") or ():
            subject, referrer = word(each, "subject"), Referrer.read(each)
            (own if subject == digest else below.setdefault(subject, [])).append(referrer)
        more = own[-1].digest if own and body.get("more_referrers") else ""
        shared = body.get("shared_blobs") or {}
        return cls(
            digest,
            TagDetails.read(body["tag"]) if body.get("tag") else None,
            body.get("has_config") is True,
            body.get("whole") is True,
            [Interval.read(each) for each in body.get("history") or ()],
            {each["digest"]: ManifestDetails.read(each) for each in body.get("manifests") or ()},
            ReferrersPage(own, more),
            below,
            [Signature.read(each) for each in body.get("signatures") or ()],
            [DailyPulls.read(each) for each in body.get("pulls") or ()],
            {each["digest"]: SharedBlob.read(each) for each in shared["blobs"]}
            if shared.get("known")
            else None,
        )
