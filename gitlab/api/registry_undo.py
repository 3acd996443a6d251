"""Ours, beyond GitLab: what a tag pointed at, what a deletion frees, and taking deletions back."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api import pagination
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import ApiError, not_found
from gitlab.api.fields import Entity, Moment
from gitlab.api.lookups import missing, project_for, repository_for
from gitlab.api.pagination import Listed
from gitlab.api.parameters import Commas, Parameters, identifier
from gitlab.container_registry import tags as services
from gitlab.container_registry import undo
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.registry import own_api
from gitlab.container_registry.client.responses import DeletedTag
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.tags import MAX_TAGS_AT_ONCE
from gitlab.container_registry.undo import Restored
from gitlab.namespaces.policies import Ability

_KEEPS_NO_HISTORY = "keeps no history"


class IntervalEntity(Entity):
    """A time in which a tag pointed at a digest. `until` is null while it does."""

    id = serializers.IntegerField()
    digest = serializers.CharField()
    since = Moment(allow_null=True)
    until = Moment(allow_null=True)
    pushed_by = serializers.CharField()
    ended_by = serializers.CharField()
    restorable = serializers.BooleanField(source="is_restorable")


class HistoryParameters(Parameters):
    """Which part of the history."""

    per_page = serializers.IntegerField(required=False, min_value=1, max_value=2**31)
    last = identifier(required=False, help_text="The interval behind which the page begins.")


class RestoreTagParameters(Parameters):
    """Which part of the history."""

    interval = identifier()


def _tags(**options: Any) -> Commas:
    return Commas(
        child=serializers.CharField(max_length=128), max_length=MAX_TAGS_AT_ONCE, **options
    )


class FreedParameters(Parameters):
    """Which tags; the whole image without any."""

    tags = _tags(required=False)


class FreedEntity(Entity):
    """What a deletion would free. Where it is not `exact`, the numbers are the least."""

    alone_bytes = serializers.IntegerField()
    shared_bytes = serializers.IntegerField()
    manifests = serializers.IntegerField()
    exact = serializers.BooleanField(source="is_exact")


class DeletedTagEntity(Entity):
    """A tag that can be brought back until `until`."""

    repository_id = serializers.IntegerField(required=False)
    path = serializers.CharField()
    name = serializers.CharField()
    digest = serializers.CharField()
    total_size = serializers.IntegerField(source="size_bytes")
    deleted_at = Moment(allow_null=True)
    deleted_by = serializers.CharField()
    until = Moment(allow_null=True)

    def to_representation(self, found: tuple[ContainerRepository, DeletedTag]) -> Any:
        """The tag, and the id of its image."""
        row, tag = found
        return {"repository_id": row.pk, **super().to_representation(tag)}


class DeletedRepositoryEntity(Entity):
    """An image that can be brought back until `until`, by the id that it had."""

    id = serializers.IntegerField(source="image.row")
    name = serializers.CharField(source="image.name")
    tags_count = serializers.IntegerField(source="image.tags_count")
    deleted_at = Moment(source="image.deleted_at")
    until = Moment()


class RestoreParameters(Parameters):
    """Which tags; the whole image without any."""

    tags = _tags(required=False)


class RestoredEntity(Entity):
    """What came of bringing tags back: `taken` are there again anyway, `lost` are collected."""

    back = serializers.ListField(child=serializers.CharField())
    taken = serializers.ListField(child=serializers.CharField())
    lost = serializers.ListField(child=serializers.CharField())


class TagHistory(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id/tags/:tag_name/history``"""

    section = "Container registry, beyond GitLab"
    visitors = True

    @operation(
        "Show the history of a tag",
        takes=HistoryParameters,
        gives=IntervalEntity,
        many=True,
        refuses=[404, 422, 503],
    )
    def get(
        self,
        request: Request,
        given: dict[str, Any],
        id: int | str,
        repository_id: int,
        tag_name: str,
    ) -> Response:
        """What it pointed at, the latest first; `Link` leads to what was before."""
        row = repository_for(request.user, repository_id, Ability.READ_IMAGE, project=id)
        if not services.is_name(tag_name):
            raise not_found("Tag")
        size = pagination.per_page(given)
        own = own_api(clients.for_pages(), _KEEPS_NO_HISTORY)
        found = own.history(row.path, tag_name, n=size + 1, last=given.get("last", 0))
        if not found and "last" not in given:
            raise not_found("Tag")
        following = {"last": str(found[size - 1].id) if len(found) > size else ""}
        page = Listed(found[:size], pagination.by_key(request, size, following))
        return page.response(IntervalEntity(page.rows, many=True).data)


class RestoreTag(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id/tags/:tag_name/restore``"""

    section = "Container registry, beyond GitLab"

    @operation(
        "Point a tag back",
        takes=RestoreTagParameters,
        gives=IntervalEntity,
        status=201,
        many=True,
        refuses=[404, 409, 422, 503],
    )
    def post(
        self,
        request: Request,
        given: dict[str, Any],
        id: int | str,
        repository_id: int,
        tag_name: str,
    ) -> Response:
        """To what it pointed at in a part of its history, which it has from now on."""
        by = person(request)
        row = repository_for(by, repository_id, Ability.PUSH_IMAGE, project=id)
        if not services.is_name(tag_name):
            raise not_found("Tag")
        with missing("Interval"):
            undo.point_back(by, row, tag_name, given["interval"])
        own = own_api(clients.for_pages(), _KEEPS_NO_HISTORY)
        history = own.history(row.path, tag_name, n=pagination.DEFAULT)
        return Response(IntervalEntity(history, many=True).data, status=201)


class Freed(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id/freed``"""

    section = "Container registry, beyond GitLab"

    @operation(
        "Show what a deletion would free",
        takes=FreedParameters,
        gives=FreedEntity,
        refuses=[404, 422, 503],
    )
    def get(
        self, request: Request, given: dict[str, Any], id: int | str, repository_id: int
    ) -> Response:
        """Bytes that nothing else needs, and bytes that others share, as far as one may pull
        those.
        """
        row = repository_for(person(request), repository_id, Ability.DELETE_TAG, project=id)
        found = services.freed_by(request.user, row, given.get("tags", []))
        if found is None:
            raise ApiError(422, {"message": "this registry can't tell"})
        return Response(FreedEntity(found).data)


class RestoreRepository(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id/restore``"""

    section = "Container registry, beyond GitLab"

    @operation(
        "Bring tags or an image back",
        takes=RestoreParameters,
        gives=RestoredEntity,
        status=201,
        refuses=[404, 409, 422, 503],
    )
    def post(
        self, request: Request, given: dict[str, Any], id: int | str, repository_id: int
    ) -> Response:
        """With `tags` those; without any the image, whose deletion is queued or done."""
        by = person(request)
        if given.get("tags"):
            row = repository_for(by, repository_id, Ability.PUSH_IMAGE, project=id)
            outcome = undo.restore_tags(by, row, filter(services.is_name, given["tags"]))
            return Response(RestoredEntity(outcome).data, status=201)
        project = project_for(by, id, Ability.ADMIN_IMAGE)
        gone = next(iter(undo.deleted_images(by, project, row=repository_id).images), None)
        with missing("Container Repository"):
            undo.restore_image(by, project, repository_id, gone.ticket if gone else "")
        return Response(RestoredEntity(Restored()).data, status=201)


class DeletedTags(Endpoint):
    """``/projects/:id/registry/deleted_tags``"""

    section = "Container registry, beyond GitLab"

    @operation(
        "List tags that can be brought back", gives=DeletedTagEntity, many=True, refuses=[404, 503]
    )
    def get(self, request: Request, id: int | str) -> Response:
        """The latest 100 of a project's images."""
        project = project_for(person(request), id, Ability.PUSH_IMAGE)
        found, _ = undo.deleted_tags(request.user, project)
        return Response(DeletedTagEntity(found, many=True).data)


class DeletedRepositories(Endpoint):
    """``/projects/:id/registry/deleted_repositories``"""

    section = "Container registry, beyond GitLab"

    @operation(
        "List images that can be brought back",
        gives=DeletedRepositoryEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, id: int | str) -> Response:
        """The latest 100 of a project."""
        project = project_for(person(request), id, Ability.ADMIN_IMAGE)
        found = undo.deleted_images(request.user, project).images
        return Response(DeletedRepositoryEntity(found, many=True).data)
