"""One repository, as GitLab's pages and jobs see it, and those below a path."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from registry.auth import Caller
from registry.errors import Code, RegistryError
from registry.gitlab_v1.base import flag, json_object
from registry.services import pull_details, renaming, repositories, repository_details
from registry.timestamps import timestamp
from registry.v2.base import RegistryView, empty, last_entry, page_size
from registry.v2.pages import fitting, next_link
from tokens.access import Access

REPOSITORY_ID = "Gitlab-Repository-Id"
"""The header that names the repository which was deleted: undo needs it."""


class DiscoveryView(RegistryView):
    """``GET /gitlab/v1/``: 200 or 401 says that this API is here."""

    def needed(self, method: str, arguments: dict[str, Any]) -> Access | None:
        """A valid token."""
        return None

    def get(self, request: HttpRequest, caller: Caller) -> HttpResponse:
        """An empty object."""
        return JsonResponse({})


class RepositoryView(RegistryView):
    """``/gitlab/v1/repositories/<path>/``, ``/gitlab/v1/berth/repository/<path>/``."""

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
            "last_pulled_at": timestamp(found.pulled.last_at),
            "pull_tag": found.pull_tag,
            "signature_tags_count": found.signatures,
            "pulls_30_days": found.pulled.pulls,
            "pulls_counted_since": timestamp(pull_details.counted_since()),
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

        A dry run of the first two answers 202. All need pull on what is below the path
        (``<path>/*``), which only GitLab's own tokens grant: people rename projects and say what is
        kept in GitLab, which knows who may, and keeps both sides equal. The first two need push
        where the image goes. An empty ``namespace`` is the top.
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


def _target(name: str, body: dict[str, Any]) -> str:
    new_name, namespace = body.get("name"), body.get("namespace")
    if isinstance(new_name, str) and "/" not in new_name and len(body) == 1:
        parent = name.rpartition("/")[0]
        return repositories.check_name(f"{parent}/{new_name}" if parent else new_name)
    if isinstance(namespace, str) and len(body) == 1:
        last = name.rpartition("/")[2]
        return repositories.check_name(f"{namespace}/{last}" if namespace else last)
    raise RegistryError(
        Code.UNSUPPORTED, "the body has name, namespace or collect_untagged", status=400
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
    """``GET …/repository-paths/<path>/repositories/list/``, ``GET …/berth/descendants/<path>/``."""

    def get(self, request: HttpRequest, caller: Caller, name: str) -> HttpResponse:
        """The repositories at and below a path that have a tag."""
        limit = page_size(request, default=100) or 1
        found = repository_details.below(name, last_entry(request), limit)
        entries = (
            {
                "name": repository.name.rpartition("/")[2],
                "path": repository.name,
                "created_at": timestamp(repository.created_at),
                "updated_at": timestamp(repository.updated_at),
            }
            for repository in found
        )
        body, has_more = fitting(entries, limit)
        headers = next_link(request.path, n=limit, last=body[-1]["path"]) if has_more else {}
        return JsonResponse(body, safe=False, headers=headers)
