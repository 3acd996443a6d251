"""The registry as GitLab sees it: one method a call, over HTTP, with tokens of its own.

Two failures: `RegistryUnavailable` (nobody answered, or it is in trouble: try later) and
`RegistryRefused` (it answered no: do not try again). What is gone already counts as deleted.
Timeouts, retries, redirects and the pool of connections are dealt with here and nowhere else.
"""

from __future__ import annotations

import json
import os
import random
import ssl
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import httpx
from django.conf import settings

from gitlab.container_registry import tokens_for_jobs
from gitlab.container_registry.answers import (
    Freed,
    Garbage,
    Interval,
    RegistryInfo,
    RepositoryDetails,
    ReviewRun,
    StoredManifest,
    TagDetails,
    TagsPage,
)
from tokens.access import Access

MAX_FREED_TAGS = 1000
_RETRIED = frozenset([429, 502, 503, 504])
_NO_ANSWER = (httpx.TransportError, httpx.StreamError)


class RegistryUnavailable(Exception):
    """Nobody answered in time, or the registry is in trouble. Worth another attempt later."""


class RegistryRefused(Exception):
    """The registry said no. `status` and `code` are its own; another attempt gets the same."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class RegistryClient:
    """Calls to one registry. Safe to share between threads; not between processes."""

    def __init__(
        self,
        url: str,
        *,
        timeout: float = 15,
        attempts: int = 3,
        ca_bundle: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """`timeout` in seconds for each attempt; `transport` replaces the network in tests."""
        self._attempts = attempts
        self._http = httpx.Client(
            base_url=url,
            timeout=httpx.Timeout(timeout, connect=3),
            limits=httpx.Limits(max_connections=20, max_keepalive_connections=10),
            # A redirect would carry the token to wherever it points.
            follow_redirects=False,
            # The address is internal: a proxy of the environment has no business there.
            trust_env=False,
            verify=ssl.create_default_context(cafile=ca_bundle) if ca_bundle else True,
            transport=transport,
            headers={"User-Agent": "berth"},
        )

    # What is there

    def ping(self) -> RegistryInfo:
        """Who answers. Raises `RegistryUnavailable`."""
        answer = self._call("GET", "/v2/", None, accept=(200, 401))
        own = self._call("GET", "/gitlab/v1/", None, accept=(200, 401, 404))
        return RegistryInfo(
            version=answer.headers.get("gitlab-container-registry-version", ""),
            has_own_api=own.status_code != 404,
        )

    def repository(
        self, path: str, *, size: bool = True, below: bool = False
    ) -> RepositoryDetails | None:
        """One image with its size in bytes, or None where the registry has none of that name.

        `below` counts the images below it too, what they share once.
        """
        answer = self._call(
            "GET",
            _repository(path),
            Access.repository(path, "pull"),
            {"size": "self_with_descendants" if below else "self"} if size else {},
            accept=(200, 404),
        )
        return None if answer.status_code == 404 else RepositoryDetails.read(_json(answer))

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
        answer = self._call(
            "GET",
            f"{_repository(path)}tags/list/",
            Access.repository(path, "pull"),
            {key: value for key, value in asked.items() if value},
            accept=(200, 404),
        )
        if answer.status_code == 404:
            return TagsPage([])
        return TagsPage(
            [TagDetails.read(entry) for entry in _json(answer) or []],
            next_last=_link(answer, "next", "last"),
            previous_before=_link(answer, "previous", "before"),
        )

    def tag(self, path: str, tag: str) -> TagDetails | None:
        """One tag, or None."""
        answer = self._call(
            "GET",
            f"{_repository(path)}tags/{quote(tag, safe='')}/",
            Access.repository(path, "pull"),
            accept=(200, 404),
        )
        return None if answer.status_code == 404 else TagDetails.read(_json(answer))

    def history(self, path: str, tag: str, *, n: int = 100) -> list[Interval]:
        """What a tag pointed at, the latest first."""
        answer = self._call(
            "GET",
            f"{_repository(path)}tags/{quote(tag, safe='')}/history/",
            Access.repository(path, "pull"),
            {"n": str(n)},
            accept=(200, 404),
        )
        return [] if answer.status_code == 404 else [Interval.read(row) for row in _json(answer)]

    def freed(self, path: str, tags: Sequence[str] = ()) -> Freed:
        """What deleting these tags would free; without any, what deleting the image would."""
        answer = self._call(
            "GET",
            f"{_repository(path)}freed/",
            Access.repository(path, "pull"),
            {"tags": ",".join(tags[:MAX_FREED_TAGS])} if tags else {},
            accept=(200, 404),
        )
        return Freed() if answer.status_code == 404 else Freed.read(_json(answer))

    def manifest(self, path: str, reference: str) -> StoredManifest | None:
        """A manifest by tag or digest, byte by byte, or None."""
        answer = self._call(
            "GET",
            f"/v2/{path}/manifests/{quote(reference, safe=':')}",
            Access.repository(path, "pull"),
            headers={"Accept": "*/*"},
            accept=(200, 404),
        )
        if answer.status_code == 404:
            return None
        return StoredManifest(answer.headers.get("content-type", ""), answer.content)

    # Deleting, and taking it back. `by` is the person whom the registry notes as having done it.

    def delete_tag(self, path: str, tag: str, *, by: str = "") -> bool:
        """Remove a tag and nothing else. False where it was gone already."""
        return self._delete(f"/v2/{path}/manifests/{quote(tag, safe='')}", path, by)

    def delete_manifest(self, path: str, digest: str) -> bool:
        """Remove a manifest with all its tags. False where it was gone already."""
        return self._delete(f"/v2/{path}/manifests/{quote(digest, safe=':')}", path)

    def delete_batch(self, path: str, n: int = 100) -> int:
        """Delete the next part of an image. Answers what is left: 0 says that it is gone."""
        answer = self._call(
            "DELETE",
            _repository(path),
            Access.repository(path, "delete"),
            {"n": str(n)},
            accept=(202, 204, 404),
        )
        return int(_json(answer)["left"]) if answer.status_code == 202 else 0

    def _delete(self, url: str, path: str, by: str = "") -> bool:
        answer = self._call(
            "DELETE", url, Access.repository(path, "delete"), by=by, accept=(200, 202, 204, 404)
        )
        return answer.status_code != 404

    def point(self, path: str, tag: str, manifest: StoredManifest, *, by: str = "") -> None:
        """Let a tag point at a manifest that is there."""
        self._call(
            "PUT",
            f"/v2/{path}/manifests/{quote(tag, safe='')}",
            Access.repository(path, "pull", "push"),
            by=by,
            headers={"Content-Type": manifest.media_type},
            content=manifest.payload,
            accept=(201,),
        )

    def restore_tags(self, path: str, intervals: Sequence[int], *, by: str = "") -> list[str]:
        """Let deleted tags point again at what they did in these parts of their history.

        The names that are back: all, or `RegistryRefused`.
        """
        names: list[str] = _json(self._restore(path, {"tags": list(intervals)}, by))["tags"]
        return names

    def restore_repository(self, path: str, repository_id: int, *, by: str = "") -> None:
        """Open a deleted image again, whole. Raises `RegistryRefused` where its time is over."""
        self._restore(path, {"repository": repository_id}, by)

    def _restore(self, path: str, what: Mapping[str, Any], by: str) -> httpx.Response:
        return self._call(
            "POST",
            f"{_repository(path)}restore/",
            Access.repository(path, "push", "delete"),
            by=by,
            headers={"Content-Type": "application/json"},
            content=json.dumps(what).encode(),
            accept=(200,),
        )

    def rename(self, path: str, new_path: str, *, dry_run: bool = False) -> bool:
        """Let an image and all below it be called `new_path`. False where there is none.

        Either its last segment changes or those before it. A dry run finds every reason to refuse.
        Raises `RegistryRefused`: 409 where a name is taken, 422 where there are too many.
        """
        parent, _, name = new_path.rpartition("/")
        is_rename = parent == path.rpartition("/")[0]
        try:
            self._call(
                "PATCH",
                _repository(path),
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

    # Garbage

    def review_garbage(self, n: int = 100) -> ReviewRun:
        """Have the next `n` candidates reviewed; running twice is harmless."""
        answer = self._call(
            "POST",
            "/gitlab/v1/garbage/reviews/",
            Access("registry", "garbage", ("*",)),
            {"n": str(n)},
            accept=(200, 201),
        )
        return ReviewRun.read(_json(answer))

    def garbage(self) -> Garbage:
        """How much waits for review, and when the next is due."""
        answer = self._call(
            "GET", "/gitlab/v1/garbage/", Access("registry", "garbage", ("*",)), accept=(200,)
        )
        return Garbage.read(_json(answer))

    def verify_slice(self, n: int = 100) -> int:
        """Have the next `n` things verified against the store; how many faults that showed.

        A registry without this answers as if nothing were wrong.
        """
        answer = self._call(
            "POST",
            "/gitlab/v1/garbage/verifications/",
            Access("registry", "garbage", ("*",)),
            {"n": str(n)},
            accept=(200, 404),
        )
        return int(_json(answer).get("faults") or 0) if answer.status_code == 200 else 0

    # The one way out

    def _call(  # noqa: PLR0913  (the one way out)
        self,
        method: str,
        url: str,
        access: Access | tuple[Access, ...] | None,
        query: Mapping[str, str] | None = None,
        *,
        accept: Sequence[int],
        by: str = "",
        headers: Mapping[str, str] | None = None,
        content: bytes | None = None,
    ) -> httpx.Response:
        """The answer, with one of the statuses in `accept`. A token is minted for each call."""
        headers = {"Accept": "application/json", **(headers or {})}
        if access is not None:
            granted = access if isinstance(access, tuple) else (access,)
            headers["Authorization"] = f"Bearer {tokens_for_jobs.for_access(*granted, by=by)}"
        trouble = ""
        for attempt in range(self._attempts):
            if attempt:
                # Apart from each other, so that those who failed together do not return together.
                time.sleep(random.uniform(0.05, 0.3) * 2**attempt)  # noqa: S311
            try:
                answer = self._http.request(
                    method, url, params=query or None, headers=headers, content=content
                )
            except _NO_ANSWER as error:
                trouble = f"the registry does not answer ({type(error).__name__})"
                continue
            if answer.status_code in accept:
                return answer
            if answer.status_code not in _RETRIED and answer.status_code < 500:
                raise _refusal(answer)
            trouble = f"the registry answers {answer.status_code}"
            if answer.status_code not in _RETRIED:
                break
        raise RegistryUnavailable(trouble)


def _repository(path: str) -> str:
    return f"/gitlab/v1/repositories/{quote(path)}/"


def _json(answer: httpx.Response) -> Any:
    try:
        return answer.json()
    except ValueError as error:
        raise RegistryUnavailable("the registry's answer is not JSON") from error


def _refusal(answer: httpx.Response) -> RegistryRefused:
    code, message = "UNKNOWN", f"the registry answers {answer.status_code}"
    try:
        first = answer.json()["errors"][0]
        code, message = str(first["code"]), str(first.get("message") or message)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError):
        pass
    return RegistryRefused(answer.status_code, code, message)


def _link(answer: httpx.Response, relation: str, parameter: str) -> str:
    """A query parameter of a page's neighbour, "" where there is none."""
    url = answer.links.get(relation, {}).get("url", "")
    return parse_qs(urlsplit(url).query).get(parameter, [""])[0]


_clients: dict[tuple[int, str, str], RegistryClient] = {}


def for_pages() -> RegistryClient:
    """The client that a page uses: it gives up soon, somebody is waiting."""
    return _kept("pages", timeout=5, attempts=2)


def for_jobs() -> RegistryClient:
    """The client that a worker uses: it is patient."""
    return _kept("jobs", timeout=60, attempts=3)


def _kept(purpose: str, *, timeout: float, attempts: int) -> RegistryClient:
    """One pool for each process: connections do not survive a fork."""
    url: str = settings.CONTAINER_REGISTRY_API_URL
    key = (os.getpid(), url, purpose)
    if key not in _clients:
        bundle = settings.CONTAINER_REGISTRY_CA_BUNDLE
        _clients[key] = RegistryClient(
            url, timeout=timeout, attempts=attempts, ca_bundle=str(bundle) if bundle else None
        )
    return _clients[key]
