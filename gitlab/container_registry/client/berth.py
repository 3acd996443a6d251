"""Berth's own registry: one method a call, over HTTP, with tokens of our own.

Below ``/gitlab/v1/`` it tells what the protocol has no words for. What is gone already counts as
deleted. Failures are those of `connection`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import httpx

from gitlab.container_registry.client import tokens as tokens_for_jobs
from gitlab.container_registry.client.connection import (
    RegistryRefused,
    RegistryUnavailable,
    as_json,
)
from gitlab.container_registry.client.responses import (
    DeletedTag,
    Ended,
    Freed,
    Garbage,
    Happened,
    Interval,
    RepositoryDetails,
    ReviewRun,
    TagDetails,
    TagsPage,
    Used,
)
from gitlab.container_registry.client.v2 import OverV2
from tokens.access import Access

MAX_FREED_TAGS = 1000
_MAX_ROUNDS = 1000


class BerthRegistry(OverV2):
    """Implements `registry.OwnApi`."""

    def __init__(
        self, url: str, *, missing: Callable[[], None] = lambda: None, **options: Any
    ) -> None:
        """`options` are those of `Connection`; `missing` is called where the API is not there."""
        super().__init__(url, **options)
        self._missing = missing

    @property
    def own(self) -> Self:
        """Itself: it has the API below ``/gitlab/v1/``."""
        return self

    # What is there

    def repository(
        self, path: str, *, size: bool = True, below: bool = False
    ) -> RepositoryDetails | None:
        """One image with its size in bytes, or None where the registry has none of that name.

        `below` counts the images below it too, what they share once.
        """
        answer = self._own(
            "GET",
            _call("repository", path),
            Access.repository(path, "pull"),
            {"size": "self_with_descendants" if below else "self"} if size else {},
            accept=(200, 404),
        )
        return None if answer.status_code == 404 else RepositoryDetails.read(as_json(answer))

    def tags(
        self,
        path: str,
        *,
        n: int = 20,
        last: str = "",
        before: str = "",
        name: str = "",
        sort: str = "",
    ) -> TagsPage:
        """A page of an image's tags, after `last` or before `before`.

        `name` is a part of the names wanted; `sort` is ``name``, ``-name``, ``published_at`` or
        ``-published_at``. An image that the registry does not know has no tags.
        """
        asked = {"n": str(n), "last": last, "before": before, "name": name, "sort": sort}
        answer = self._own(
            "GET",
            _call("tags", path),
            Access.repository(path, "pull"),
            {key: value for key, value in asked.items() if value},
            accept=(200, 404),
        )
        if answer.status_code == 404:
            return TagsPage([])
        return TagsPage(
            [TagDetails.read(entry) for entry in as_json(answer) or []],
            next_last=_link(answer, "next", "last"),
            previous_before=_link(answer, "previous", "before"),
        )

    def tag(self, path: str, tag: str) -> TagDetails | None:
        """One tag, or None."""
        answer = self._own(
            "GET",
            _call("tag", path),
            Access.repository(path, "pull"),
            {"tag": tag},
            accept=(200, 404),
        )
        return None if answer.status_code == 404 else TagDetails.read(as_json(answer))

    def history(self, path: str, tag: str, *, n: int = 100, last: int = 0) -> list[Interval]:
        """What a tag pointed at, the latest first; behind the interval `last` where it is given."""
        answer = self._own(
            "GET",
            _call("history", path),
            Access.repository(path, "pull"),
            {"tag": tag, "n": str(n), **({"last": str(last)} if last else {})},
            accept=(200, 404),
        )
        return [] if answer.status_code == 404 else [Interval.read(row) for row in as_json(answer)]

    def freed(
        self, path: str, tags: Sequence[str] = (), *, seen: Sequence[str] = ()
    ) -> Freed | None:
        """What deleting these tags would free; without any, what deleting the image would.

        As shared counts what the images `seen` need too, where ``group/*`` means all below a path.
        None where this registry can't tell.
        """
        answer = self._own(
            "GET",
            _call("freed", path),
            tuple(Access.repository(name, "pull") for name in dict.fromkeys((path, *seen))),
            {"tags": ",".join(tags[:MAX_FREED_TAGS])} if tags else {},
            accept=(200, 404),
        )
        return Freed() if answer.status_code == 404 else Freed.read(as_json(answer))

    # Deleting, and taking it back. `by` is the person whom the registry notes as having done it.

    def delete_tag(self, path: str, tag: str, *, by: str = "") -> bool:
        """Remove a tag and nothing else. False where it was gone already."""
        return self._delete(f"/v2/{path}/manifests/{quote(tag, safe='')}", path, by)

    def delete_batch(
        self,
        path: str,
        n: int = 100,
        *,
        project: int | None = None,
        rules: Mapping[str, Any] | None = None,
    ) -> int:
        """Delete the next part of an image. Answers what is left: 0 says that it is gone.

        `project` is the id of the project to which undo then belongs. `rules` are what the token
        says of protected tags: `RegistryRefused` where there is one.
        """
        answer = self._own(
            "DELETE",
            _call("repository", path),
            _of_project(project, path, "delete", rules=rules),
            {"n": str(n)},
            accept=(202, 204, 404),
        )
        return int(as_json(answer)["left"]) if answer.status_code == 202 else 0

    def give_up(self, path: str, project: int) -> None:
        """A project ends: what is left at and below its path goes, for its next owner's sake."""
        access = (
            _of_project(project, path, "delete"),
            Access.repository(f"{path}/*", "pull"),
        )
        url = _call("given-up", path)
        for _ in range(_MAX_ROUNDS):
            # A registry of GitLab's, or an older one of ours, has nothing at this address.
            answer = self._connection.call("POST", url, access, accept=(200, 404))
            if answer.status_code == 404 or not as_json(answer)["closed"]:
                return
        raise RegistryUnavailable("the registry finds more and more to close")

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

    def restore_tags(
        self, path: str, intervals: Sequence[int], *, by: str = "", project: int | None = None
    ) -> list[str]:
        """Let deleted tags point again at what they did in these parts of their history.

        The names that are back: all, or `RegistryRefused`, also where the image belongs to another
        `project`.
        """
        answer = self._restore(path, {"tags": list(intervals)}, by, project)
        names: list[str] = as_json(answer)["tags"]
        return names

    def deleted_tags(self, path: str, *, n: int = 100) -> list[DeletedTag]:
        """Tags of the images at and below `path` that can be brought back, the latest first."""
        answer = self._own(
            "GET",
            _call("deleted-tags", path),
            Access.repository(path, "pull"),
            {"n": n},
            accept=(200,),
        )
        return [DeletedTag.read(entry) for entry in as_json(answer)]

    def restore_repository(
        self,
        path: str,
        repository_id: int,
        *,
        by: str = "",
        project: int | None = None,
        rules: Mapping[str, Any] | None = None,
    ) -> None:
        """Open a deleted image of a project again, whole. `rules` as for `delete_batch`.

        Raises `RegistryRefused` where its time is over, or where it was another project's.
        """
        self._restore(path, {"repository": repository_id}, by, project, rules)

    def _restore(
        self,
        path: str,
        what: Mapping[str, Any],
        by: str,
        project: int | None,
        rules: Mapping[str, Any] | None = None,
    ) -> httpx.Response:
        return self._own(
            "POST",
            _call("restore", path),
            _of_project(project, path, "push", "delete", rules=rules),
            by=by,
            headers={"Content-Type": "application/json"},
            content=json.dumps(what).encode(),
            accept=(200,),
        )

    def keep_untagged(self, path: str, keep: bool) -> bool:
        """Have untagged manifests of an image kept, or collected. False where there is no image."""
        answer = self._own(
            "PATCH",
            _call("repository", path),
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
                _call("repository", path),
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

    def garbage(self) -> Garbage:
        """How much waits for review, and when the next is due."""
        answer = self._own(
            "GET", "/gitlab/v1/garbage/", Access("registry", "garbage", ("*",)), accept=(200,)
        )
        return Garbage.read(as_json(answer))

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

    def _own(self, *arguments: Any, **options: Any) -> httpx.Response:
        """A call below ``/gitlab/v1/``. Raises `RegistryRefused` (404) where that is not there.

        A 404 of a registry that has the API is in the protocol's form; that of one that does not
        know the address says nothing about the image.
        """
        try:
            answer = self._connection.call(*arguments, **options)
        except RegistryRefused as error:
            if (error.status, error.code) == (404, "UNKNOWN"):
                self._missing()
            raise
        if answer.status_code == 404 and not _is_refusal(answer):
            self._missing()
            raise RegistryRefused(404, "UNKNOWN", "this registry has no API for GitLab")
        return answer


def _is_refusal(answer: httpx.Response) -> bool:
    try:
        return "errors" in answer.json()
    except (ValueError, TypeError):
        return False


def _call(what: str, path: str) -> str:
    """The URL of a call about an image: its name stands last, whatever words that holds."""
    return f"/gitlab/v1/berth/{what}/{quote(path)}/"


def _of_project(
    project: int | None, path: str, *actions: str, rules: Mapping[str, Any] | None = None
) -> Access:
    """The access to an image, with the project that it belongs to and the rules about its tags."""
    known = {} if project is None else {"project_id": project}
    return Access("repository", path, actions, {**known, **(rules or {})})


def _link(answer: httpx.Response, relation: str, parameter: str) -> str:
    """A query parameter of a page's neighbour, "" where there is none."""
    url = answer.links.get(relation, {}).get("url", "")
    return parse_qs(urlsplit(url).query).get(parameter, [""])[0]
