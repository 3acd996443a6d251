"""Tags with their details, and their history."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Iterator, Sequence
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry import digest as digests
from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.gitlab_v1.base import cursor, flag, json_object
from registry.models import Tag
from registry.services import (
    belonging,
    pull_details,
    repositories,
    tag_ages,
    tag_deletion,
    tag_details,
    tags,
)
from registry.services.tag_details import TagDetails, TagPage
from registry.services.tag_filters import Filter
from registry.timestamps import timestamp
from registry.v2.base import RegistryView, last_entry, page_size
from registry.v2.pages import fitting, next_link
from tokens.access import Access

_LAST_SECOND = 2**33
"""Since the epoch, in the year 2242."""

_SIGNED = {"": None, "true": True, "false": False}

_BELONGINGS = 100
"""Tags of a page whose belongings are looked up."""


def details_as_json(tag: TagDetails, counted_since: dt.datetime | None) -> dict[str, Any]:
    """A tag, as the API says it."""
    return {
        "name": tag.name,
        "digest": tag.digest,
        "config_digest": tag.config_digest,
        "media_type": tag.media_type,
        "artifact_type": tag.artifact_type,
        "size_bytes": tag.size,
        "created_at": timestamp(tag.created_at),
        "published_at": timestamp(tag.published_at),
        "published_by": tag.published_by,
        "restored_at": timestamp(tag.restored_at),
        "restored_by": tag.restored_by,
        "platforms": tag.platforms,
        "last_pulled_at": timestamp(tag.pulled.last_at),
        "pulls": tag.pulled.pulls,
        "pulls_counted_since": timestamp(counted_since),
    }


class TagsView(RegistryView):
    """``GET /gitlab/v1/repositories/<path>/tags/list/``, ``GET /gitlab/v1/berth/tags/<path>/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """A page of tags with their details, with links to its neighbours.

        Those whose name contains ``name`` or is ``name_exact``, matches the ``pattern`` of RE2's as
        a whole, and whose manifest has the ``platform`` and is ``signed``, ``true`` or ``false``. A
        page of what is rare may be short, or empty, and go on with its links. With
        ``referrers=true`` each has those of its manifest, or those whose artifact type is in the
        comma-separated ``referrer_type``. With ``belongings=true`` each says the types of what
        belongs to it; with ``signatures=false``, and where ``signed`` is asked, the tags by which
        cosign finds some of that are left out.
        """
        limit = page_size(request, default=100) or 1
        asked = {
            key: request.GET.get(key, "").replace("\0", "")
            for key in (
                "before", "name", "name_exact", "pattern", "platform", "signed", "sort",
                "referrer_type",
            )
        }  # fmt: skip
        with_referrers = flag(request, "referrers")
        with_belongings = flag(request, "belongings")
        signatures = request.GET.get("signatures") != "false"
        repository_id = repositories.get_id(name)
        page = tag_details.page(
            repository_id,
            limit=limit,
            last=last_entry(request),
            before=asked.pop("before"),
            name=asked["name"],
            name_exact=asked["name_exact"],
            matching=Filter(asked["pattern"], asked["platform"], _signed(asked["signed"])),
            sort=asked["sort"] or "name",
            signatures=signatures,
        )
        types = None
        if with_referrers:
            types = [part for part in asked["referrer_type"].split(",") if part]
        # From the marker on, so that a page that is cut short still touches its neighbour.
        entries = _entries(repository_id, page.from_marker, types)
        if with_belongings:
            entries = _with_belongings(repository_id, page.from_marker, entries)
        body, is_cut = fitting(entries)
        page = page.cut_to(len(body)) if is_cut else page
        kept = {key: value for key, value in asked.items() if value} | {"n": str(limit)}
        if with_referrers:
            kept["referrers"] = "true"
        if with_belongings:
            kept["belongings"] = "true"
        if not signatures:
            kept["signatures"] = "false"
        body = body[::-1] if page.is_backwards else body
        return JsonResponse(body, safe=False, headers=_links(request.path, kept, page))


def _signed(text: str) -> bool | None:
    """The parameter ``signed``. Raises UNSUPPORTED (400)."""
    try:
        return _SIGNED[text]
    except KeyError as error:
        raise RegistryError(Code.UNSUPPORTED, "signed is true or false", status=400) from error


def _entries(
    repository_id: int, found: Iterable[TagDetails], types: list[str] | None
) -> Iterator[dict[str, Any]]:
    """Tags as the API says them, with their referrers of these types unless that is None."""
    counted_since = pull_details.counted_since()
    for tag, some in tag_details.with_referrers(repository_id, found, types):
        entry = details_as_json(tag, counted_since)
        if types is not None:
            entry["referrers"] = [
                {"artifactType": referrer.artifact_type, "digest": referrer.digest}
                for referrer in some
            ]
        yield entry


def _with_belongings(
    repository_id: int, found: Sequence[TagDetails], entries: Iterable[dict[str, Any]]
) -> Iterator[dict[str, Any]]:
    """The entries with the types of what belongs to each, of the first hundred."""
    kinds = belonging.kinds(repository_id, found[:_BELONGINGS])
    for entry in entries:
        yield {**entry, "belongings": kinds.get(entry["digest"], [])}


def _links(path: str, kept: dict[str, str], page: TagPage) -> dict[str, str]:
    """The ``Link`` header with the addresses of the pages around `page`; `kept` is asked again."""
    links = []
    if page.has_previous and page.first:
        query = urlencode(kept | {"before": page.first})
        links.append(f'<{path}?{query}>; rel="previous"')
    if page.has_next and page.last:
        query = urlencode(kept | {"last": page.last})
        links.append(f'<{path}?{query}>; rel="next"')
    return {"Link": ", ".join(links)} if links else {}


class AgesView(RegistryView):
    """``GET /gitlab/v1/berth/ages/<path>/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """A page of tags by name, up to 4,000, as short as it can be: for cleanups.

        Each is a list: name, digest, bytes, and when its image was made (null where it does not
        say), it was pushed, and was pulled last (null for never).
        """
        text = request.GET.get("n", "")
        is_count = text.isascii() and text.isdecimal() and 0 < len(text) < 6
        limit = min(int(text), tag_ages.MAX_PAGE) if is_count else tag_ages.MAX_PAGE
        last = last_entry(request)
        found, more = tag_ages.page(repositories.get_id(name), last, max(1, limit))
        body = {
            "tags": found,
            "pulls_counted_since": timestamp(pull_details.counted_since()),
        }
        headers = next_link(request.path, n=limit, last=found[-1].name) if more else {}
        return JsonResponse(body, headers=headers)


class TagView(RegistryView):
    """``GET /gitlab/v1/berth/tag/<path>/?tag=``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """One tag's details; with ``belongings=true`` the types of what belongs to it too."""
        tag = tags.check(request.GET.get("tag", ""))
        repository_id = repositories.get_id(name)
        found = tag_details.find(repository_id, tag)
        body = details_as_json(found, pull_details.counted_since())
        if flag(request, "belongings"):
            body["belongings"] = belonging.kinds(repository_id, [found]).get(found.digest, [])
        return JsonResponse(body)


class HistoryView(RegistryView):
    """``GET /gitlab/v1/berth/history/<path>/?tag=``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """What the tag pointed at, from when to when, the latest first.

        With ``last``, what was before that interval; with ``before``, a moment in seconds since the
        epoch, what had begun by then.
        """
        tag = tags.check(request.GET.get("tag", ""))
        limit = page_size(request, default=100) or 1
        repository_id = repositories.get_id(name)
        before = moment_in(request)
        last = cursor(request, "last")
        intervals = tags.history(repository_id, tag, limit, last=last, before=before)
        body, has_more = fitting(map(interval_as_json, intervals), limit)
        query = {"tag": tag, "n": limit, "last": body[-1]["id"] if body else 0}
        if before is not None:
            query["before"] = int(before.timestamp())
        headers = next_link(request.path, **query) if has_more else {}
        return JsonResponse(body, safe=False, headers=headers)


def interval_as_json(interval: Tag) -> dict[str, Any]:
    """A part of a tag's history, as the API says it."""
    return {
        "id": interval.pk,
        "digest": interval.digest,
        "from": timestamp(interval.restored_at or interval.started_at),
        "until": timestamp(interval.ended_at),
        "pushed_at": timestamp(interval.started_at),
        "pushed_by": interval.started_by,
        "restored_at": timestamp(interval.restored_at),
        "restored_by": interval.restored_by or "",
        "size_bytes": interval.size,
        "ended_by": interval.ended_by,
        "restorable": interval.manifest_id is not None,
    }


def moment_in(request: HttpRequest) -> dt.datetime | None:
    """The ``before`` of a history in seconds since the epoch, None without. Raises UNSUPPORTED
    (400) for no time.
    """
    seconds = cursor(request, "before")
    if not seconds:
        return None
    try:
        return dt.datetime.fromtimestamp(seconds, dt.UTC)
    except (ValueError, OverflowError, OSError) as error:
        raise RegistryError(Code.UNSUPPORTED, "before is no time", status=400) from error


class DeleteTagsView(RegistryView):
    """``POST /gitlab/v1/berth/delete-tags/<path>/``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """``repository:<path>:delete``."""
        return Access.repository(arguments["name"], "delete")

    def post(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Delete ``tags``, each a ``name`` with the ``digest`` that it has to point at still.

        With ``unless_pulled_since``, in seconds since the epoch, none whose manifest was pulled
        behind that. Of each is told whether it was ``deleted``, has ``moved``, is ``protected`` by
        a rule of the token, was ``pulled`` or was ``gone``, with the interval of its history that
        says so; what moved, is protected or was pulled stays. Twice is once.
        """
        body = json_object(request)
        found = tag_deletion.delete_unmoved(
            name,
            _wanted(body),
            caller.acting_in(name),
            unless_pulled_since=_since_epoch(body.get("unless_pulled_since")),
        )
        told = [
            {
                "name": tag.name,
                "outcome": tag.outcome.value,
                "digest": tag.digest,
                "interval": tag.interval,
                "until": timestamp(tag.ended_at),
                "ended_by": tag.ended_by,
            }
            for tag in found
        ]
        return JsonResponse(told, safe=False)


def _since_epoch(seconds: Any) -> dt.datetime | None:
    """A moment by the seconds since the epoch. Raises UNSUPPORTED (400)."""
    if seconds is None:
        return None
    if type(seconds) not in (int, float) or not 0 <= seconds < _LAST_SECOND:
        raise RegistryError(Code.UNSUPPORTED, "unless_pulled_since is no time", status=400)
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def _wanted(body: dict[str, Any]) -> list[tuple[str, str]]:
    """The tags of a body with their digests. Raises UNSUPPORTED (400), TAG_INVALID, …"""
    match body:
        case {"tags": [*entries]} if 0 < len(entries) <= tag_deletion.MAX_AT_ONCE:
            found = dict(map(_name_and_digest, entries))
            return list(found.items())
    most = tag_deletion.MAX_AT_ONCE
    raise RegistryError(Code.UNSUPPORTED, f"the body has 1 to {most} tags", status=400)


def _name_and_digest(entry: Any) -> tuple[str, str]:
    match entry:
        case {"name": str(name), "digest": str(digest)}:
            digests.check(digest)
            return tags.check(name), digest
    raise RegistryError(Code.UNSUPPORTED, "a tag has a name and a digest", status=400)
