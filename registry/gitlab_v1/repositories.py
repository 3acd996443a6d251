"""One repository, as GitLab's pages and jobs see it."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any
from urllib.parse import urlencode

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.services import renaming, repositories, repository_details, tag_details, tags, undo
from registry.services.garbage import freed
from registry.services.tag_details import TagDetails, TagPage
from registry.v2.base import RegistryView, empty, last_entry, page_size
from registry.v2.body import Body
from tokens.access import Access

REPOSITORY_ID = "Gitlab-Repository-Id"
"""The header that names the repository which was deleted: undo needs it."""

_MAX_FREED_TAGS = 1000
_MAX_RESTORED_TAGS = 1000
_MAX_JSON = 256 * 1024


def timestamp(moment: dt.datetime | None) -> str | None:
    """RFC 3339 in UTC with milliseconds."""
    return None if moment is None else moment.astimezone(dt.UTC).isoformat(timespec="milliseconds")


class DiscoveryView(RegistryView):
    """``GET /gitlab/v1/``: 200 or 401 says that this API is here."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access | None:
        """A valid token."""
        return None

    def get(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """An empty object."""
        return JsonResponse({})


class RepositoryView(RegistryView):
    """``/gitlab/v1/repositories/<path>/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Details, with the size where ``size`` is ``self`` or ``self_with_descendants``.

        With the latter, a path that is no repository but has some below it is answered by its size.
        """
        size = request.GET.get("size")
        if size not in (None, "self", "self_with_descendants"):
            raise RegistryError(
                Code.UNSUPPORTED, "size is self or self_with_descendants", status=400
            )
        if size == "self_with_descendants":
            below = repository_details.size_below(name)
            if below is not None:
                return JsonResponse(
                    {
                        "name": name.rpartition("/")[2],
                        "path": name,
                        "size_bytes": below,
                        "size_precision": "default",
                    }
                )
        found = repository_details.find(name, size=size)
        body: dict[str, Any] = {
            "id": found.id,
            "name": name.rpartition("/")[2],
            "path": name,
            "tags_count": found.tags,
            "collect_untagged": found.collect_untagged,
            "created_at": timestamp(found.created_at),
            "updated_at": timestamp(found.updated_at),
            "last_published_at": timestamp(found.published_at),
        }
        if found.size is not None:
            body |= {"size_bytes": found.size, "size_precision": "default"}
        return JsonResponse(body)

    def delete(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Delete the image with everything in it: 204, with the id that undo needs.

        What it held goes after the undo window.
        """
        repository_id = repositories.close(name, caller.acting_in(name))
        return empty(204, {REPOSITORY_ID: str(repository_id)})

    def patch(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Rename (``name``), move (``namespace``), or set ``collect_untagged``: 204.

        A dry run of the first two answers 202. All need pull on what is below the path (``<path>/*``),
        which only GitLab's own tokens grant: people rename projects and say what is kept in GitLab,
        which knows who may, and keeps both sides equal. The first two need push where the image goes.
        """
        body = json_object(request)
        below = Access.repository(f"{name}/*", "pull")
        keep = body.get("collect_untagged")
        if isinstance(keep, bool) and len(body) == 1:
            caller.require(below)
            repositories.set_collect_untagged(name, keep)
            return empty(204)
        target = _target(name, body)
        dry_run = flag(request, "dry_run")
        caller.require(Access.repository(target, "push"))
        caller.require(below)
        renaming.rename(name, target, caller.acting_in(name), dry_run=dry_run)
        return empty(202 if dry_run else 204)


def flag(request: HttpRequest, parameter: str) -> bool:
    """A query parameter that is ``true``, ``false`` or not there. Raises UNSUPPORTED with 400."""
    value = request.GET.get(parameter, "false")
    if value not in ("true", "false"):
        raise RegistryError(Code.UNSUPPORTED, f"{parameter} is true or false", status=400)
    return value == "true"


def json_object(request: HttpRequest) -> dict[str, Any]:
    """The body where it is a JSON object of moderate size. Raises UNSUPPORTED with 400."""
    try:
        body = json.loads(Body(request.META).read_whole(_MAX_JSON))
    except (ValueError, RecursionError) as error:
        raise RegistryError(Code.UNSUPPORTED, "the body is not JSON", status=400) from error
    if not isinstance(body, dict):
        raise RegistryError(Code.UNSUPPORTED, "the body is not a JSON object", status=400)
    return body


def _target(name: str, body: dict[str, Any]) -> str:
    new_name, namespace = body.get("name"), body.get("namespace")
    if isinstance(new_name, str) and "/" not in new_name and len(body) == 1:
        parent = name.rpartition("/")[0]
        return repositories.check_name(f"{parent}/{new_name}" if parent else new_name)
    if isinstance(namespace, str) and len(body) == 1:
        return repositories.check_name(f"{namespace}/{name.rpartition('/')[2]}")
    raise RegistryError(
        Code.UNSUPPORTED, "the body has name, namespace or collect_untagged", status=400
    )


def _is_id(value: object) -> bool:
    """Whether a row could have this id. ``True`` is an int to Python, and none to a database."""
    return type(value) is int and 0 < value < 2**63


class RestoreView(RegistryView):
    """``POST /gitlab/v1/repositories/<path>/restore/``."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """Undo gives back what deleting took: it needs both."""
        return Access.repository(arguments["name"], "push", "delete")

    def post(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """Bring back ``tags`` (ids of intervals), a ``manifest`` (digest) or the ``repository``."""
        body = json_object(request)
        restored: list[str] = []
        match body:
            case {"tags": [*ids]} if 0 < len(ids) <= _MAX_RESTORED_TAGS and all(map(_is_id, ids)):
                restored = undo.restore_tags(name, ids, caller.acting_in(name))
            case {"manifest": str(digest)}:
                restored = undo.restore_manifest(name, digest, caller.acting_in(name))
            case {"repository": repository_id} if _is_id(repository_id):
                undo.restore_repository(name, repository_id, caller.acting_in(name))
            case _:
                raise RegistryError(
                    Code.UNSUPPORTED, "the body has tags, manifest or repository", status=400
                )
        return JsonResponse({"tags": restored})


def _as_json(tag: TagDetails) -> dict[str, Any]:
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
        "platforms": tag.platforms,
    }


class TagsView(RegistryView):
    """``GET /gitlab/v1/repositories/<path>/tags/list/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """A page of tags with their details, with links to its neighbours.

        With ``referrers=true`` each has those of its manifest, or those whose artifact type is in
        the comma-separated ``referrer_type``.
        """
        limit = page_size(request, default=100) or 1
        asked = {
            key: request.GET.get(key, "").replace("\0", "")
            for key in ("before", "name", "name_exact", "sort", "referrer_type")
        }
        with_referrers = flag(request, "referrers")
        repository_id = repositories.get_id(name)
        page = tag_details.page(
            repository_id,
            limit=limit,
            last=last_entry(request),
            before=asked.pop("before"),
            name=asked["name"],
            name_exact=asked["name_exact"],
            sort=asked["sort"] or "name",
        )
        body = [_as_json(tag) for tag in page.tags]
        if with_referrers:
            types = [part for part in asked["referrer_type"].split(",") if part]
            found = tag_details.referrers(repository_id, [tag.digest for tag in page.tags], types)
            for entry in body:
                entry["referrers"] = [
                    {"artifactType": referrer.artifact_type, "digest": referrer.digest}
                    for referrer in found.get(entry["digest"], ())
                ]
        kept = {key: value for key, value in asked.items() if value} | {"n": str(limit)}
        if with_referrers:
            kept["referrers"] = "true"
        path = f"/gitlab/v1/repositories/{name}/tags/list/"
        return JsonResponse(body, safe=False, headers=_links(path, kept, page))


def _links(path: str, kept: dict[str, str], page: TagPage) -> dict[str, str]:
    """The ``Link`` header with the addresses of the pages around `page`; `kept` is asked again."""
    links = []
    if page.has_previous and page.tags:
        query = urlencode(kept | {"before": page.tags[0].name})
        links.append(f'<{path}?{query}>; rel="previous"')
    if page.has_next and page.tags:
        query = urlencode(kept | {"last": page.tags[-1].name})
        links.append(f'<{path}?{query}>; rel="next"')
    return {"Link": ", ".join(links)} if links else {}


class TagView(RegistryView):
    """``GET /gitlab/v1/repositories/<path>/tags/<tag>/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str, tag: str) -> HttpResponse:
        """One tag's details."""
        tags.check(tag)
        return JsonResponse(_as_json(tag_details.find(repositories.get_id(name), tag)))


class HistoryView(RegistryView):
    """``GET /gitlab/v1/repositories/<path>/tags/<tag>/history/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str, tag: str) -> HttpResponse:
        """What the tag pointed at, from when to when, the latest first."""
        tags.check(tag)
        intervals = tags.history(repositories.get_id(name), tag, page_size(request, default=100))
        body = [
            {
                "id": interval.pk,
                "digest": interval.digest,
                "from": timestamp(interval.started_at),
                "until": timestamp(interval.ended_at),
                "pushed_by": interval.started_by,
                "ended_by": interval.ended_by,
                "restorable": interval.manifest_id is not None,
            }
            for interval in intervals
        ]
        return JsonResponse(body, safe=False)


class FreedView(RegistryView):
    """``GET /gitlab/v1/repositories/<path>/freed/?tags=a,b``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """What deleting these tags would free; without ``tags``, the whole image."""
        repository_id = repositories.get_id(name)
        names = [tag for tag in request.GET.get("tags", "").split(",") if tag]
        if len(names) > _MAX_FREED_TAGS:
            raise RegistryError(
                Code.UNSUPPORTED, f"at most {_MAX_FREED_TAGS} tags at once", status=400
            )
        for tag in names:
            tags.check(tag)
        found = freed.by_tags(repository_id, names) if names else freed.by_repository(repository_id)
        return JsonResponse(
            {
                "manifests": found.manifests,
                "alone_bytes": found.alone,
                "shared_bytes": found.shared,
            }
        )


class GivenUpView(RegistryView):
    """``POST /gitlab/v1/berth/given-up/<path>/``."""

    def post(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """A project that ends gives its path up, so that its next owner finds nothing of it.

        What is left open at and below the path goes, and tokens from before open nothing there.
        ``closed`` says how much that was: asked again until it is 0, nothing is left. Needs pull on
        what is below, which only GitLab's own tokens grant, and the project's id in the token.
        """
        caller.require(Access.repository(f"{name}/*", "pull"))
        return JsonResponse({"closed": repositories.give_up(name, caller.acting_in(name))})

    def needed(self, method: str, arguments: dict[str, Any]) -> Access:
        """As a deletion."""
        return Access.repository(arguments["name"], "delete")


class DescendantsView(RegistryView):
    """``GET /gitlab/v1/repository-paths/<path>/repositories/list/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """The repositories at and below a path that have a tag."""
        limit = page_size(request, default=100) or 1
        found = repository_details.below(name, last_entry(request), limit)
        headers = {}
        if len(found) > limit:
            found = found[:limit]
            query = urlencode({"n": limit, "last": found[-1].name})
            path = f"/gitlab/v1/repository-paths/{name}/repositories/list/"
            headers = {"Link": f'<{path}?{query}>; rel="next"'}
        body = [
            {
                "name": repository.name.rpartition("/")[2],
                "path": repository.name,
                "created_at": timestamp(repository.created_at),
                "updated_at": timestamp(repository.updated_at),
            }
            for repository in found
        ]
        return JsonResponse(body, safe=False, headers=headers)
