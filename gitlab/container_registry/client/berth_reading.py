"""What Berth's own registry tells of images, tags and manifests. What is not there has nothing."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import httpx

from gitlab.container_registry.client.berth_calls import BerthCalls, url_of
from gitlab.container_registry.client.connection import (
    RegistryRefused,
    as_json,
)
from gitlab.container_registry.client.overview import Overview, Part
from gitlab.container_registry.client.responses import (
    AgesPage,
    DailyPulls,
    Freed,
    Held,
    Interval,
    ManifestDetails,
    RepositoryDetails,
    SharedBlob,
    TagAge,
    TagDetails,
    TagsPage,
    moment,
)
from gitlab.container_registry.client.v2 import link_of
from tokens.access import Access

MAX_FREED_TAGS = 1000


class BerthReading(BerthCalls):
    """The part of `registry.OwnApi` that asks and changes nothing."""

    def repository(
        self, path: str, *, size: bool = True, below: bool = False
    ) -> RepositoryDetails | None:
        """One image with its size in bytes, or None where the registry has none of that name.

        `below` counts the images below it too, what they share once.
        """
        answer = self._own(
            "GET",
            url_of("repository", path),
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
        signed: bool | None = None,
        signatures: bool = True,
        belongings: bool = False,
    ) -> TagsPage:
        """A page of an image's tags, after `last` or before `before`.

        `name` is a part of the names wanted, `pattern` one of RE2's for whole names, `platform` as
        in ``linux/arm64``, `signed` whether there is a signature; `sort` is ``name``, ``version``,
        ``published_at``, ``created_at``, ``size_bytes`` or ``last_pulled_at``, each with ``-`` too.
        An image that the registry does not know has no tags. See `Registry.tags`.
        """
        asked = {"n": str(n), "last": last, "before": before, "name": name, "sort": sort}
        asked |= {"pattern": pattern, "platform": platform}
        asked["signed"] = "" if signed is None else str(signed).lower()
        asked["signatures"] = "" if signatures else "false"
        asked["belongings"] = "true" if belongings else ""
        answer = self._own(
            "GET",
            url_of("tags", path),
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
        answer = self._own("GET", url_of("ages", path), access, asked, accept=(200, 404))
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
            url_of("tag", path),
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
            url_of("overview", path),
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
            url_of("history", path),
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
            url_of(what, path),
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
            url_of("pulls", path),
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
            url_of("freed", path),
            tuple(Access.repository(name, "pull") for name in dict.fromkeys((path, *seen))),
            {"tags": ",".join(tags[:MAX_FREED_TAGS])} if tags else {},
            accept=(200, 404),
        )
        return Freed() if answer.status_code == 404 else Freed.read(as_json(answer))

    def holders(self, path: str, digest: str) -> Held:
        """What holds a digest in one image, as if there were no other; `unknown` where nothing."""
        answer = self._connection.call(
            "GET",
            url_of("holders", path),
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
        """Up to `n` manifests that no tag, index or subject holds, of the next thousand: named by
        their digest, published when the last tag left them. And what to go on `after`, 0 at the
        end; a page before it may be empty.
        """
        access = Access.repository(path, "pull")
        answer = self._own(
            "GET",
            url_of("untagged", path),
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
            url_of("freed", path),
            tuple(Access.repository(name, "pull") for name in dict.fromkeys((path, *seen))),
            headers={"Content-Type": "application/json"},
            content=json.dumps(body).encode(),
            accept=(200, 404),
        )
        return Freed() if answer.status_code == 404 else Freed.read(as_json(answer))


def _held(answer: httpx.Response, digest: str) -> Held:
    found = as_json(answer)
    return Held(digest) if "state" not in found else Held.read(found)
