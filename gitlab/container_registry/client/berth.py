"""Berth's own registry: one method a call, over HTTP, with tokens of our own.

Below ``/gitlab/v1/`` it tells what the protocol has no words for. What is gone already counts as
deleted. Failures are those of `connection`.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Self
from urllib.parse import quote, urlencode

import httpx

from gitlab.container_registry.client import tokens as tokens_for_jobs
from gitlab.container_registry.client.connection import (
    RegistryRefused,
    RegistryUnavailable,
    as_json,
)
from gitlab.container_registry.client.overview import Overview, Part
from gitlab.container_registry.client.responses import (
    AgesPage,
    Collected,
    DailyPulls,
    DeletedTag,
    Ended,
    FoundTag,
    Freed,
    Garbage,
    Happened,
    Held,
    Interval,
    ManifestDetails,
    RepositoryDetails,
    ReviewRun,
    SharedBlob,
    TagAge,
    TagDeletion,
    TagDetails,
    TagsPage,
    Used,
    moment,
)
from gitlab.container_registry.client.v2 import OverV2, link_of
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

    def tags(  # noqa: PLR0913  (each is a parameter of the list)
        self,
        path: str,
        *,
        n: int = 20,
        last: str = "",
        before: str = "",
        name: str = "",
        sort: str = "",
        pattern: str = "",
        platform: str = "",
        signatures: bool = True,
        belongings: bool = False,
    ) -> TagsPage:
        """A page of an image's tags, after `last` or before `before`.

        `name` is a part of the names wanted, `pattern` one of RE2's for whole names, `platform` as
        in ``linux/arm64``; `sort` is ``name``, ``version``, ``published_at``, ``created_at``,
        ``size_bytes`` or ``last_pulled_at``, each with ``-`` too. An image that the registry does
        not know has no tags. See `Registry.tags`.
        """
        asked = {"n": str(n), "last": last, "before": before, "name": name, "sort": sort}
        asked |= {"pattern": pattern, "platform": platform}
        asked["signatures"] = "" if signatures else "false"
        asked["belongings"] = "true" if belongings else ""
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
            next_last=link_of(answer, "next", "last"),
            previous_before=link_of(answer, "previous", "before"),
        )

    def tag_ages(self, path: str, *, n: int = 4000, last: str = "") -> AgesPage:
        """Thousands of tags by name, with what a cleanup asks of them: digest, size and times.

        An image that the registry does not know has no tags.
        """
        asked = {"n": str(n), **({"last": last} if last else {})}
        access = Access.repository(path, "pull")
        answer = self._own("GET", _call("ages", path), access, asked, accept=(200, 404))
        if answer.status_code == 404:
            return AgesPage([])
        body = as_json(answer)
        return AgesPage(
            [TagAge.read(row) for row in body["tags"]],
            link_of(answer, "next", "last"),
            moment(body.get("pulls_counted_since")),
        )

    def tag(self, path: str, tag: str, *, belongings: bool = False) -> TagDetails | None:
        """One tag, or None. With `belongings` it says what belongs to it."""
        answer = self._own(
            "GET",
            _call("tag", path),
            Access.repository(path, "pull"),
            {"tag": tag, **({"belongings": "true"} if belongings else {})},
            accept=(200, 404),
        )
        return None if answer.status_code == 404 else TagDetails.read(as_json(answer))

    def overview(
        self,
        path: str,
        *,
        tag: str = "",
        digest: str = "",
        history: Part | None = None,
        days: int = 0,
        seen: Sequence[str] = (),
    ) -> Overview | None:
        """What a page shows of a `tag`, or of the manifest `digest`, in one question.

        With the `days` its pulls, with some images `seen` which of its blobs they have too, as
        `shared_blobs`. Of a tag that is gone its history alone; None where the image has no such
        manifest, or is not there.
        """
        asked = {"digest": digest} if digest else {"tag": tag}
        if history is not None:
            asked |= {"n": str(history.n), "last": str(history.last or "")}
            asked["before"] = str(int(history.before.timestamp())) if history.before else ""
        asked |= {"days": str(days or ""), "shared": "true" if seen else ""}
        answer = self._own(
            "GET",
            _call("overview", path),
            tuple(Access.repository(name, "pull") for name in dict.fromkeys((path, *seen))),
            {key: value for key, value in asked.items() if value},
            accept=(200, 404),
        )
        return None if answer.status_code == 404 else Overview.read(as_json(answer))

    def has_blobs(self, path: str, digests: Sequence[str]) -> set[str]:
        """Those of up to 200 blobs that an image may serve now."""
        found = self._asked_of("blobs", Access.repository(path, "pull"), path, digests)
        return set(found["digests"]) if found else set()

    def history(
        self,
        path: str,
        tag: str,
        *,
        n: int = 100,
        last: int = 0,
        before: dt.datetime | None = None,
    ) -> list[Interval]:
        """What a tag pointed at, the latest first; behind the interval `last` where it is given.

        With `before`, to the second, what it pointed at by then.
        """
        asked = {"tag": tag, "n": str(n), "last": str(last or "")}
        asked["before"] = str(int(before.timestamp())) if before else ""
        answer = self._own(
            "GET",
            _call("history", path),
            Access.repository(path, "pull"),
            {key: value for key, value in asked.items() if value},
            accept=(200, 404),
        )
        return [] if answer.status_code == 404 else [Interval.read(row) for row in as_json(answer)]

    def manifest_details(self, path: str, digests: Sequence[str]) -> dict[str, ManifestDetails]:
        """By digest what is known of up to 200 manifests of an image: of those it has."""
        found = self._asked_of("manifests", Access.repository(path, "pull"), path, digests)
        return {each["digest"]: ManifestDetails.read(each) for each in found or ()}

    def shared_blobs(
        self, path: str, digests: Sequence[str], *, seen: Sequence[str]
    ) -> dict[str, SharedBlob] | None:
        """Those of up to a hundred blobs of an image that other images of `seen` have too.

        ``group/*`` means all below a path. None where these are too many to be looked through.
        """
        names = dict.fromkeys((path, *seen))
        access = tuple(Access.repository(name, "pull") for name in names)
        found = self._asked_of("shared-blobs", access, path, digests)
        if found is None or not found["known"]:
            return None
        return {each["digest"]: SharedBlob.read(each) for each in found["blobs"]}

    def _asked_of(
        self, what: str, access: Access | tuple[Access, ...], path: str, digests: Sequence[str]
    ) -> Any:
        """What is said of some digests; None of an image that the registry does not know."""
        answer = self._own(
            "POST",
            _call(what, path),
            access,
            headers={"Content-Type": "application/json"},
            content=json.dumps({"digests": list(digests)}).encode(),
            accept=(200, 404),
        )
        return None if answer.status_code == 404 else as_json(answer)

    def pulls(
        self, path: str, *, digest: str = "", tag: str = "", days: int = 30
    ) -> list[DailyPulls]:
        """The pulls of the last days, the latest first: of a manifest, by a tag, or of the image.

        Nothing of an image that the registry does not know.
        """
        asked = {"digest": digest, "tag": tag, "days": str(days)}
        answer = self._own(
            "GET",
            _call("pulls", path),
            Access.repository(path, "pull"),
            {key: value for key, value in asked.items() if value},
            accept=(200, 404),
        )
        if answer.status_code == 404:
            return []
        return [DailyPulls.read(row) for row in as_json(answer)["days"]]

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

    def holders(self, path: str, digest: str) -> Held:
        """What holds a digest in one image, as if there were no other; `unknown` where nothing."""
        answer = self._connection.call(
            "GET",
            _call("holders", path),
            (Access.repository(path, "pull"), Access.repository(f"{path}/*", "pull")),
            {"digest": digest},
            accept=(200, 404),
        )
        return _held(answer, digest)

    def holders_anywhere(self, digest: str) -> Held:
        """What holds a digest in any image, or how it went."""
        answer = self._connection.call(
            "GET",
            f"/gitlab/v1/garbage/why/{quote(digest, safe=':')}",
            Access("registry", "garbage", ("*",)),
            accept=(200, 404),
        )
        return _held(answer, digest)

    def untagged(self, path: str, *, after: int = 0, n: int = 1000) -> tuple[Sequence[TagAge], int]:
        """Manifests that no tag, index or subject holds: named by their digest, published when the
        last tag left them, of the next `n` that are looked at. And what to go on `after`, 0 at the
        end; a page before it may be empty.
        """
        access = Access.repository(path, "pull")
        answer = self._own(
            "GET",
            _call("untagged", path),
            access,
            {"after": str(after), **({"n": str(n)} if n < 1000 else {})},
            accept=(200, 404),
        )
        if answer.status_code == 404:
            return [], 0
        body = as_json(answer)
        rows = [(digest, digest, size, None, since) for digest, size, since in body["manifests"]]
        return [TagAge.read(row) for row in rows], int(body["next"])

    def freed_by_many(self, path: str, tags: Sequence[str], *, seen: Sequence[str] = ()) -> Freed:
        """As `freed`, of up to ten thousand tags with names of any length.

        Where these are too many for the registry to be counted together, it is the least that goes:
        each thousand as if the others stayed.
        """
        found: Freed | None = None
        try:
            found = self._freed_by(path, {"tags": list(tags)}, seen)
        except RegistryRefused as error:
            # An older registry of ours takes a thousand.
            if error.status not in (400, 413) or len(tags) <= MAX_FREED_TAGS:
                raise
        if found is not None and (found.is_exact or len(tags) <= MAX_FREED_TAGS):
            return found
        thousands = (
            tags[start : start + MAX_FREED_TAGS] for start in range(0, len(tags), MAX_FREED_TAGS)
        )
        return Freed.least(self._freed_by(path, {"tags": list(some)}, seen) for some in thousands)

    def freed_by_manifests(
        self, path: str, digests: Sequence[str], *, seen: Sequence[str] = ()
    ) -> Freed:
        """As `freed`, of up to a thousand manifests that nothing holds."""
        return self._freed_by(path, {"digests": list(digests)}, seen)

    def _freed_by(self, path: str, body: Mapping[str, Any], seen: Sequence[str]) -> Freed:
        answer = self._own(
            "POST",
            _call("freed", path),
            tuple(Access.repository(name, "pull") for name in dict.fromkeys((path, *seen))),
            headers={"Content-Type": "application/json"},
            content=json.dumps(body).encode(),
            accept=(200, 404),
        )
        return Freed() if answer.status_code == 404 else Freed.read(as_json(answer))

    # Deleting, and taking it back. `by` is the person whom the registry notes as having done it.

    def delete_tag(self, path: str, tag: str, *, by: str = "") -> bool:
        """Remove a tag and nothing else. False where it was gone already."""
        return self._delete(f"/v2/{path}/manifests/{quote(tag, safe='')}", path, by)

    def delete_unmoved(
        self,
        path: str,
        tags: Sequence[tuple[str, str]],
        *,
        by: str = "",
        project: int | None = None,
        rules: Mapping[str, Any] | None = None,
        cause: str = "",
        unless_pulled_since: dt.datetime | None = None,
    ) -> list[TagDeletion]:
        """Remove those of up to a hundred tags that still point at the digest beside their name,
        unless one of the `rules` (see `delete_batch`) protects it, or it has been pulled since.

        `cause` is what the job is called by which `collected` tells what came of it. Of an image
        that the registry does not know all are gone.
        """
        body: dict[str, Any] = {"tags": [{"name": name, "digest": digest} for name, digest in tags]}
        if unless_pulled_since is not None:
            body["unless_pulled_since"] = unless_pulled_since.timestamp()
        access = _of_project(project, path, "delete", rules=rules, cause=cause)
        found = self._delete_if("delete-tags", path, body, by, access)
        return [TagDeletion(name, "gone") for name, _ in tags] if found is None else found

    def delete_untagged(
        self,
        path: str,
        digests: Sequence[str],
        *,
        by: str = "",
        project: int | None = None,
        cause: str = "",
    ) -> list[TagDeletion]:
        """Delete those of up to a hundred manifests that nothing holds by now: ``deleted``,
        ``held``, ``gone``.
        """
        body = {"digests": list(digests)}
        access = _of_project(project, path, "delete", cause=cause)
        found = self._delete_if("delete-untagged", path, body, by, access)
        return [TagDeletion(digest, "gone") for digest in digests] if found is None else found

    def _delete_if(
        self, what: str, path: str, body: Mapping[str, Any], by: str, access: Access
    ) -> list[TagDeletion] | None:
        """What came of a conditional deletion; None where there is no such image."""
        answer = self._own(
            "POST",
            _call(what, path),
            access,
            by=by,
            headers={"Content-Type": "application/json"},
            content=json.dumps(body).encode(),
            accept=(200, 404),
        )
        if answer.status_code == 404:
            return None
        return [TagDeletion.read(entry) for entry in as_json(answer)]

    def restore_manifest(
        self, path: str, digest: str, *, by: str = "", project: int | None = None
    ) -> None:
        """Bring back a deleted manifest. Raises `RegistryRefused` where its time is over."""
        self._restore(path, {"manifest": digest}, by, project)

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
        self,
        path: str,
        intervals: Sequence[int],
        *,
        by: str = "",
        project: int | None = None,
        move: bool = False,
    ) -> list[str]:
        """Let tags point again at what they did in these parts of their history.

        The names that are back: all, or `RegistryRefused`, also where the image belongs to another
        `project`, or a tag points elsewhere by now and may not `move`.
        """
        what = {"tags": list(intervals), **({"move": True} if move else {})}
        answer = self._restore(path, what, by, project)
        names: list[str] = as_json(answer)["tags"]
        return names

    def deleted_tags(
        self, path: str, *, n: int = 100, last: int = 0, name: str = ""
    ) -> tuple[list[DeletedTag], int]:
        """Tags of the images at and below `path` that can be brought back, the latest first, behind
        the interval `last`; `name` is a part of the tag's name or the image's. And behind which
        interval there are more, 0 for none.
        """
        asked = {"n": str(n), "last": str(last) if last else "", "name": name}
        answer = self._own(
            "GET",
            _call("deleted-tags", path),
            Access.repository(path, "pull"),
            {key: value for key, value in asked.items() if value},
            accept=(200,),
        )
        found = [DeletedTag.read(entry) for entry in as_json(answer)]
        return found, int(link_of(answer, "next", "last") or 0)

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
    project: int | None,
    path: str,
    *actions: str,
    rules: Mapping[str, Any] | None = None,
    cause: str = "",
) -> Access:
    """The access to an image, with the project that it belongs to, the rules about its tags, and
    the job that it is for.
    """
    known: dict[str, Any] = {} if project is None else {"project_id": project}
    job = {"cause": cause} if cause else {}
    return Access("repository", path, actions, {**known, **(rules or {}), **job})


def _held(answer: httpx.Response, digest: str) -> Held:
    found = as_json(answer)
    return Held(digest) if "state" not in found else Held.read(found)
