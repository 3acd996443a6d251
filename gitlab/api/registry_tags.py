"""The tags of an image: listed, shown, deleted, one or in bulk."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api import pagination
from gitlab.api.authentication import person, require_own_job
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import ApiError, BadParameter, forbidden, not_found
from gitlab.api.fields import Moment
from gitlab.api.lookups import repository_for
from gitlab.api.pagination import Listed, PageParameters
from gitlab.api.parameters import Parameters, choice, text
from gitlab.api.registry_repositories import TagName
from gitlab.container_registry import bulk_deletion, tag_criteria
from gitlab.container_registry import tags as services
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import TagDetails, TagsPage
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.policies import Ability
from gitlab.refusals import Invalid

_SKIPPED = 10_000
"""The most tags before a page that is asked for by number: they are walked."""

_STEP = 1000


class TagEntity(TagName):
    """A tag, with the image that it points at."""

    revision = serializers.SerializerMethodField()
    short_revision = serializers.SerializerMethodField()
    digest = serializers.CharField()
    created_at = Moment(allow_null=True)
    total_size = serializers.IntegerField(source="size_bytes")

    def get_revision(self, tag: TagDetails) -> str | None:
        """The digest of its configuration, without the algorithm; null where it has none."""
        return tag.revision or None

    def get_short_revision(self, tag: TagDetails) -> str | None:
        """The first nine digits of that."""
        return tag.revision[:9] or None


class ListParameters(PageParameters):
    """Which part of the tags."""

    last = text(help_text="The tag after which the page begins; with `pagination=keyset`.")
    sort = choice(["asc", "desc"], help_text="By name.")


def _page(request: Request, given: Mapping[str, Any], path: str) -> Listed:
    """A page of tags, by name."""
    registry = clients.for_pages()
    size, sort = pagination.per_page(given), "-name" if given.get("sort") == "desc" else "name"
    if given.get("pagination") == "keyset":
        last = given.get("last") or given.get("cursor", "")
        page = registry.tags(path, n=size, last=last, sort=sort)
        following = {"pagination": "keyset", "last": page.next_last}
        return Listed(page.tags, pagination.by_key(request, size, following))
    number = int(given.get("page", 1))
    skipped = (number - 1) * size
    if skipped > _SKIPPED:
        raise pagination.too_far(_SKIPPED)
    last = _after(registry, path, skipped, sort)
    page = registry.tags(path, n=size, last=last or "", sort=sort) if last != "" else TagsPage([])
    more = bool(page.next_last)
    known = not more and (page.tags or not skipped)
    total = skipped + len(page.tags) if known else _count(registry, path)
    return Listed(page.tags, pagination.by_number(request, number, size, total, more=more))


def _after(registry: Registry, path: str, skipped: int, sort: str) -> str | None:
    """The tag after which a page begins that has so many before it; None for the first page, "" for
    one behind the end.
    """
    last: str | None = None
    while skipped:
        page = registry.tags(path, n=min(_STEP, skipped), last=last or "", sort=sort)
        skipped -= len(page.tags)
        if not page.next_last:
            return ""
        last = page.next_last
    return last


def _count(registry: Registry, path: str) -> int | None:
    details = registry.repository(path, size=False)
    total = details.tags_count if details else 0
    return total if total <= pagination.COUNTED else None


class BulkParameters(Parameters):
    """Which tags go."""

    name_regex_delete = text(max_length=255, help_text="RE2, of the whole name.")
    name_regex = text(max_length=255, help_text="GitLab's older word for the same.")
    name_regex_keep = text(max_length=255, help_text="RE2: these stay.")
    keep_n = serializers.IntegerField(
        required=False, min_value=0, max_value=2**31 - 1, help_text="So many of the newest stay."
    )
    older_than = text(max_length=255, help_text="`1h`, `7d`, `1month`: what is younger stays.")


class Tags(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id/tags``"""

    section = "Container registry"
    visitors = True
    jobs = ("GET", "HEAD")

    @operation(
        "List the tags of an image",
        takes=ListParameters,
        gives=TagName,
        many=True,
        refuses=[404, 405, 503],
    )
    def get(
        self, request: Request, given: dict[str, Any], id: int | str, repository_id: int
    ) -> Response:
        """By name. By key a page of many tags is as quick as the first."""
        row = repository_for(request.user, repository_id, Ability.READ_IMAGE, project=id)
        require_own_job(request, row.project_id)
        page = _page(request, given, row.path)
        return page.response(TagName(page.rows, many=True, context={"path": row.path}).data)

    @operation("Delete tags in bulk", takes=BulkParameters, status=202, refuses=[404, 409])
    def delete(
        self, request: Request, given: dict[str, Any], id: int | str, repository_id: int
    ) -> Response:
        """By a job, once an hour. `latest` stays."""
        by = person(request)
        row = repository_for(by, repository_id, Ability.ADMIN_IMAGE, project=id)
        wanted = {given.get("name_regex_delete"), given.get("name_regex")} - {None, ""}
        if len(wanted) != 1:
            raise BadParameter(
                "name_regex_delete, name_regex are missing, exactly one parameter must be provided"
            )
        try:
            bulk_deletion.schedule(
                by,
                row,
                name_regex_delete=wanted.pop() or "",
                name_regex_keep=given.get("name_regex_keep", ""),
                keep_n=given.get("keep_n", 0),
                older_than=_age(given.get("older_than", "")),
            )
        except bulk_deletion.TooSoon as error:
            raise ApiError(400, {"message": " ".join(error.messages)}) from error
        return Response(status=202)


def _age(given: str) -> Any:
    try:
        return tag_criteria.duration(given) if given else None
    except Invalid as error:
        raise BadParameter("older_than is invalid") from error


class OneTag(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id/tags/:tag_name``"""

    section = "Container registry"
    visitors = True
    jobs = ("GET", "HEAD", "DELETE")

    @operation("Show a tag", gives=TagEntity, refuses=[404, 503])
    def get(self, request: Request, id: int | str, repository_id: int, tag_name: str) -> Response:
        """With the image that it points at."""
        row = repository_for(request.user, repository_id, Ability.READ_IMAGE, project=id)
        require_own_job(request, row.project_id)
        tag = tag_for(row, tag_name)
        return Response(TagEntity(tag, context={"path": row.path}).data)

    @operation("Delete a tag", refuses=[404, 409, 503])
    def delete(
        self, request: Request, id: int | str, repository_id: int, tag_name: str
    ) -> Response:
        """The tag alone: the image behind it stays for those who know its digest."""
        by = person(request)
        row = repository_for(by, repository_id, Ability.DELETE_TAG, project=id)
        require_own_job(request, row.project_id)
        if not services.is_name(tag_name):
            raise not_found("Tag")
        outcome = services.delete_tags(by, row, [tag_name])
        if outcome.missing:
            raise not_found("Tag")
        if outcome.refused:
            raise forbidden(outcome.refused[tag_name])
        return Response(status=200)


def tag_for(row: ContainerRepository, name: str) -> TagDetails:
    """A tag. Raises `ApiError` 404."""
    tag = clients.for_pages().tag(row.path, name) if services.is_name(name) else None
    if tag is None:
        raise not_found("Tag")
    return tag
