"""Berth's own registry: one method a call, over HTTP, with tokens of our own.

Below ``/gitlab/v1/`` it tells what the protocol has no words for. What is gone already counts as
deleted. Failures are those of `connection`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import Self
from urllib.parse import quote, urlencode

from gitlab.container_registry.client import tokens as tokens_for_jobs
from gitlab.container_registry.client.berth_calls import url_of
from gitlab.container_registry.client.berth_deletion import BerthDeletion
from gitlab.container_registry.client.berth_reading import BerthReading
from gitlab.container_registry.client.connection import (
    RegistryRefused,
    as_json,
)
from gitlab.container_registry.client.responses import (
    Collected,
    Ended,
    FoundTag,
    Garbage,
    Happened,
    ReviewRun,
    Share,
    Stored,
    UnderWay,
    Used,
)
from tokens.access import Access


class BerthRegistry(BerthReading, BerthDeletion):
    """Implements `registry.OwnApi`."""

    @property
    def own(self) -> Self:
        """Itself: it has the API below ``/gitlab/v1/``."""
        return self

    def revoke(self, ended: Sequence[Ended], before: float) -> None:
        """Let tokens end that were decided before a moment, in seconds since the epoch."""
        moment = int(before * 1000)
        told = [{**asdict(each), "before": moment} for each in ended]
        self._connection.call(
            "POST",
            "/gitlab/v1/revocations/",
            Access("registry", "revocations", ("*",)),
            content=json.dumps({"revocations": told}).encode(),
            headers={"Content-Type": "application/json"},
            # An older registry of ours has nothing at this address: its tokens live on.
            accept=(204, 404),
        )

    def keep_untagged(self, path: str, keep: bool) -> bool:
        """Have untagged manifests of an image kept, or collected. False where there is no image."""
        answer = self._own(
            "PATCH",
            url_of("repository", path),
            (Access.repository(path, "pull", "push"), Access.repository(f"{path}/*", "pull")),
            headers={"Content-Type": "application/json"},
            content=json.dumps({"collect_untagged": not keep}).encode(),
            accept=(204, 404),
        )
        return answer.status_code == 204

    def rename(self, path: str, new_path: str, *, dry_run: bool = False) -> bool:
        """Let an image and all below it be called `new_path`. False where there is none.

        Either its last segment changes or those before it. A dry run finds every reason to refuse.
        Raises `RegistryRefused`: 409 where a name is taken, 422 where there are too many.
        """
        parent, _, name = new_path.rpartition("/")
        is_rename = parent == path.rpartition("/")[0]
        try:
            self._own(
                "PATCH",
                url_of("repository", path),
                tokens_for_jobs.to_rename(path, new_path),
                {"dry_run": "true"} if dry_run else {},
                headers={"Content-Type": "application/json"},
                content=json.dumps({"name": name} if is_rename else {"namespace": parent}).encode(),
                accept=(202, 204),
            )
        except RegistryRefused as error:
            # A registry without this API answers 404 too, and must not be taken for an empty one.
            if error.code != "NAME_UNKNOWN":
                raise
            return False
        return True

    # What happened

    def events(self, after: int, n: int = 500) -> list[Happened]:
        """What has happened since the event `after`, in order, at most `n`."""
        answer = self._own(
            "GET",
            "/gitlab/v1/events/",
            Access("registry", "events", ("*",)),
            {"after": str(after), "n": str(n)},
            accept=(200, 404),
        )
        return [Happened.read(row) for row in as_json(answer)] if answer.status_code == 200 else []

    # Garbage

    def review_garbage(self, n: int = 100) -> ReviewRun:
        """Have the next `n` candidates reviewed; running twice is harmless."""
        answer = self._own(
            "POST",
            "/gitlab/v1/garbage/reviews/",
            Access("registry", "garbage", ("*",)),
            {"n": str(n)},
            accept=(200, 201),
        )
        return ReviewRun.read(as_json(answer))

    def usage(self, paths: Sequence[str]) -> list[Used]:
        """What is used at and below each path. An older registry of ours does not know it."""
        query = [("path", path) for path in dict.fromkeys(paths)]
        answer = self._own(
            "GET",
            f"/gitlab/v1/usage/?{urlencode(query)}",
            Access("registry", "statistics", ("*",)),
            accept=(200,),
        )
        return [Used.read(each) for each in as_json(answer)]

    def stored(self, path: str, *, seen: Sequence[str] = ()) -> Stored:
        """What lies at and below a path and what waits there for the collector.

        As shared counts what the images `seen` have too, where ``group/*`` means all below a path.
        """
        names = dict.fromkeys((path, f"{path}/*", *seen))
        query = urlencode({"path": path, "waiting": "true"})
        answer = self._own(
            "GET",
            f"/gitlab/v1/statistics/?{query}",
            tuple(Access.repository(name, "pull") for name in names),
            accept=(200,),
        )
        return Stored.read(as_json(answer)[0])

    def shares(self, path: str, n: int = 50) -> list[Share]:
        """The manifests with tags that hold most bytes which no other of their image does."""
        access = (Access.repository(path, "pull"), Access.repository(f"{path}/*", "pull"))
        answer = self._own("GET", url_of("shares", path), access, {"n": str(n)}, accept=(200, 404))
        if answer.status_code == 404:
            return []
        return [Share.read(each) for each in as_json(answer)["shares"]]

    def under_way(self, path: str, *, below: bool = True) -> UnderWay:
        """What is being pushed at a path, and `below` it; what was last; the pulls of today."""
        access = (Access.repository(path, "pull"), Access.repository(f"{path}/*", "pull"))
        asked = {} if below else {"self": "true"}
        answer = self._own("GET", url_of("under-way", path), access, asked, accept=(200,))
        return UnderWay.read(as_json(answer))

    def search(
        self, repositories: Sequence[str], *, tag: str = "", digest: str = ""
    ) -> list[FoundTag]:
        """The first tags that begin with `tag`, or manifests whose digest begins with `digest`, in
        up to a thousand repositories.
        """
        wanted = {"digest": digest} if digest else {"tag": tag}
        answer = self._own(
            "POST",
            "/gitlab/v1/search/",
            Access("registry", "search", ("*",)),
            content=json.dumps({"repositories": list(repositories), **wanted}).encode(),
            accept=(200,),
        )
        return [FoundTag.read(each) for each in as_json(answer)]

    def garbage(self) -> Garbage:
        """How much waits for review, and when the next is due."""
        answer = self._own(
            "GET", "/gitlab/v1/garbage/", Access("registry", "garbage", ("*",)), accept=(200,)
        )
        return Garbage.read(as_json(answer))

    def collected(self, cause: str) -> Collected | None:
        """What was collected because of a job, which `delete_unmoved` has named.

        None of an older registry of ours, which does not know.
        """
        answer = self._connection.call(
            "GET",
            f"/gitlab/v1/garbage/causes/{quote(cause, safe='')}",
            Access("registry", "garbage", ("*",)),
            accept=(200, 404),
        )
        return Collected.read(as_json(answer)) if answer.status_code == 200 else None

    def verify_slice(self, n: int = 100) -> int:
        """Have the next `n` things verified against the store; how many faults that showed.

        A registry without this answers as if nothing were wrong.
        """
        answer = self._own(
            "POST",
            "/gitlab/v1/garbage/verifications/",
            Access("registry", "garbage", ("*",)),
            {"n": str(n)},
            accept=(200, 404),
        )
        return int(as_json(answer).get("faults") or 0) if answer.status_code == 200 else 0
