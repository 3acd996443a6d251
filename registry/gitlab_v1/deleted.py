"""What a deletion would free, what it has left, and taking it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry import digest as digests
from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.gitlab_v1.base import cursor, is_id, json_object
from registry.services import deleted, repositories, tags, undo, untagged
from registry.services.garbage import freed
from registry.timestamps import timestamp
from registry.v2.base import RegistryView, page_size
from registry.v2.pages import fitting, next_link
from tokens.access import Access

_MAX_FREED_TAGS = 1000
_MAX_PLANNED_TAGS = 10_000
_MAX_PLAN = 2 * 1024 * 1024
"""Bytes of a body that names so many."""

_MAX_RESTORED_TAGS = 1000


class FreedView(RegistryView):
    """``GET /gitlab/v1/berth/freed/<path>/?tags=a,b``, ``POST /gitlab/v1/berth/freed/<path>/``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """Both ask, and change nothing: ``repository:<path>:pull``."""
        return Access.repository(arguments["name"], "pull")

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """What deleting these tags would free; without ``tags``, the whole image.

        As shared with other images counts what the token lets the caller pull. ``exact`` is false
        where so much hangs on it that the numbers are the least; ``missing`` are those of the tags
        that are not there.
        """
        names = [tag for tag in request.GET.get("tags", "").split(",") if tag]
        return _freed(caller, name, names)

    def post(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """The same, with the ``tags`` in the body: more than an address takes, and of GitLab's own
        jobs up to 10,000. Or with ``digests``, of manifests that nothing holds.
        """
        match json_object(request, _MAX_PLAN) if caller.is_own_job else json_object(request):
            case {"tags": [*names]} if names and all(isinstance(tag, str) for tag in names):
                return _freed(caller, name, names)
            case {"digests": [*wanted]} if 0 < len(wanted) <= _MAX_FREED_TAGS:
                repository_id = repositories.get_id(name)
                wanted = [digests.check(str(digest)) for digest in wanted]
                return _as_json(freed.by_manifests(repository_id, wanted, caller.visible))
        raise RegistryError(Code.UNSUPPORTED, "the body has tags or digests", status=400)


def _freed(caller: Caller, name: str, names: list[str]) -> HttpResponse:
    repository_id = repositories.get_id(name)
    most = _MAX_PLANNED_TAGS if caller.is_own_job else _MAX_FREED_TAGS
    if len(names) > most:
        raise RegistryError(Code.UNSUPPORTED, f"at most {most} tags at once", status=400)
    for tag in names:
        tags.check(tag)
    if names:
        bounds = freed.PLANNED if len(names) > _MAX_FREED_TAGS else freed.WAITED_FOR
        found = freed.by_tags(repository_id, names, caller.visible, bounds)
        return _as_json(found, freed.missing(repository_id, names))
    return _as_json(freed.by_repository(repository_id, caller.visible))


def _as_json(found: freed.Freed, missing: Sequence[str] = ()) -> HttpResponse:
    return JsonResponse(
        {
            "manifests": found.manifests,
            "alone_bytes": found.alone,
            "shared_bytes": found.shared,
            "exact": found.is_exact,
            "missing": list(missing),
        }
    )


class UntaggedView(RegistryView):
    """``GET /gitlab/v1/berth/untagged/<path>/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Up to ``n`` manifests that no tag, index or subject holds, of the next 1,000 after the id
        ``after``.

        Each is a list: digest, bytes, and since when in seconds since the epoch. ``next`` is the id
        to go on after, 0 at the end; a page before it may be empty.
        """
        repository_id = repositories.get_id(name)
        limit = min(page_size(request, default=untagged.MAX_PAGE) or 1, untagged.MAX_PAGE)
        found, end = untagged.page(repository_id, cursor(request), limit)
        rows = [[each.digest, each.size, timestamp(each.since)] for each in found]
        return JsonResponse({"manifests": rows, "next": end})


class DeleteUntaggedView(RegistryView):
    """``POST /gitlab/v1/berth/delete-untagged/<path>/``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """``repository:<path>:delete``."""
        return Access.repository(arguments["name"], "delete")

    def post(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Delete the manifests ``digests``, each only while nothing holds it. Twice is once.

        Of each is told whether it was ``deleted``, is ``held`` or was ``gone``, when and by whom.
        """
        match json_object(request):
            case {"digests": [*wanted]} if 0 < len(wanted) <= untagged.MAX_AT_ONCE:
                checked = list(dict.fromkeys(digests.check(str(digest)) for digest in wanted))
            case _:
                most = untagged.MAX_AT_ONCE
                raise RegistryError(
                    Code.UNSUPPORTED, f"the body has 1 to {most} digests", status=400
                )
        found = untagged.delete(name, checked, caller.acting_in(name))
        body = [
            {
                "name": each.digest,
                "outcome": each.outcome,
                "digest": each.digest,
                "until": timestamp(each.at),
                "ended_by": each.by,
            }
            for each in found
        ]
        return JsonResponse(body, safe=False)


class DeletedTagsView(RegistryView):
    """``GET /gitlab/v1/berth/deleted-tags/<path>/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Deleted tags at and below a path within the undo window, the latest first.

        ``interval`` is what ``restore/`` takes; ``until`` is when that is over. With ``last``,
        those behind that interval; with ``name``, those in whose name, or whose image's, it is.
        """
        limit = page_size(request, default=100) or 1
        part = request.GET.get("name", "").replace("\0", "")
        found = deleted.tags_below(name, limit + 1, last=cursor(request, "last"), name=part)
        entries = (
            {
                "path": tag.repository,
                "name": tag.name,
                "interval": tag.interval,
                "digest": tag.digest,
                "size_bytes": tag.size,
                "deleted_at": timestamp(tag.deleted_at),
                "deleted_by": tag.deleted_by,
                "until": timestamp(tag.until),
            }
            for tag in found
        )
        body, has_more = fitting(entries, limit)
        query = {"n": limit, **({"name": part} if part else {})}
        headers = next_link(request.path, **query, last=body[-1]["interval"]) if has_more else {}
        return JsonResponse(body, safe=False, headers=headers)


class RestoreView(RegistryView):
    """``POST /gitlab/v1/berth/restore/<path>/``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """Undo gives back what deleting took: it needs both."""
        return Access.repository(arguments["name"], "push", "delete")

    def post(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Bring back ``tags`` (ids of intervals), a ``manifest`` (digest) or the ``repository``.

        With ``move`` true, tags that point elsewhere by now do so no longer.
        """
        body = json_object(request)
        restored: list[str] = []
        match body:
            case {"tags": [*ids]} if 0 < len(ids) <= _MAX_RESTORED_TAGS and all(map(is_id, ids)):
                move = body.get("move") is True
                restored = undo.restore_tags(name, ids, caller.acting_in(name), move=move)
            case {"manifest": str(digest)}:
                restored = undo.restore_manifest(name, digest, caller.acting_in(name))
            case {"repository": repository_id} if is_id(repository_id):
                undo.restore_repository(name, repository_id, caller.acting_in(name))
            case _:
                raise RegistryError(
                    Code.UNSUPPORTED, "the body has tags, manifest or repository", status=400
                )
        return JsonResponse({"tags": restored})
