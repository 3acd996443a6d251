"""Images: those of a project, of a group, one by its id; deleted by a job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.authentication import person, require_own_job
from gitlab.api.base import Endpoint, operation
from gitlab.api.fields import Entity, Moment, api_url
from gitlab.api.lookups import group_for, project_for, repository_for
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Parameters, flag
from gitlab.container_registry import deletion, repositories
from gitlab.container_registry.client.responses import RepositoryDetails
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.roles import Roles

MAX_TAGS = 1000
"""Of one image, where `tags=true` asks for them; the list of its tags has all."""


class TagName(Entity):
    """A tag in a list: its name, its path, and where docker finds it."""

    name = serializers.CharField()
    path = serializers.SerializerMethodField()
    location = serializers.SerializerMethodField()

    def _whole(self, tag: Any) -> str:
        return f"{self.context['path']}:{tag.name}"

    def get_path(self, tag: Any) -> str:
        """``acme/app/web:v1``"""
        return self._whole(tag)

    def get_location(self, tag: Any) -> str:
        """The same with the registry's host."""
        return f"{settings.CONTAINER_REGISTRY_HOST_PORT}/{self._whole(tag)}"


class RepositoryEntity(Entity):
    """An image. Its tags, their number and its size only where they are asked for."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    path = serializers.CharField()
    project_id = serializers.IntegerField()
    location = serializers.SerializerMethodField()
    created_at = Moment()
    cleanup_policy_started_at = serializers.SerializerMethodField()
    status = serializers.ChoiceField(choices=ContainerRepository.Status.choices, allow_null=True)
    delete_api_path = serializers.SerializerMethodField()
    tags_count = serializers.SerializerMethodField()
    tags = serializers.SerializerMethodField()
    size = serializers.SerializerMethodField()

    def to_representation(self, repository: ContainerRepository) -> Any:
        """Without what nobody asked for, and what is not for whoever asks."""
        shown = super().to_representation(repository)
        if Ability.ADMIN_IMAGE not in self.context["abilities"](repository):
            del shown["delete_api_path"]
        for part in ("tags_count", "tags", "size"):
            if part not in self.context:
                del shown[part]
        return shown

    def get_location(self, repository: ContainerRepository) -> str:
        """Where docker finds it."""
        return f"{settings.CONTAINER_REGISTRY_HOST_PORT}/{repository.path}"

    def get_cleanup_policy_started_at(self, repository: ContainerRepository) -> str | None:
        """Null: a cleanup is of a project; its runs say when each began."""
        return None

    def get_delete_api_path(self, repository: ContainerRepository) -> str:
        """For those who may delete it."""
        here = f"projects/{repository.project_id}/registry/repositories/{repository.pk}"
        return api_url(here)

    def get_tags_count(self, repository: ContainerRepository) -> int:
        """With `tags_count=true`."""
        found: RepositoryDetails | None = self.context.get("tags_count", {}).get(repository.path)
        return found.tags_count if found else 0

    @extend_schema_field(TagName(many=True))
    def get_tags(self, repository: ContainerRepository) -> Any:
        """With `tags=true`, at most 1,000."""
        found = self.context.get("tags", {}).get(repository.path, [])
        return TagName(found, many=True, context={"path": repository.path}).data

    def get_size(self, repository: ContainerRepository) -> int | None:
        """Bytes, with `size=true`; null where the registry can't tell."""
        found: RepositoryDetails | None = self.context.get("size", {}).get(repository.path)
        return found.size_bytes if found else 0


class ListParameters(PageParameters):
    """How much of each image."""

    tags = flag()
    tags_count = flag()


class GroupListParameters(PageParameters):
    """How much of each image."""

    tags_count = flag()


class ShowParameters(Parameters):
    """How much of the image."""

    tags = flag()
    tags_count = flag()
    size = flag()


def _asked(rows: Sequence[ContainerRepository], given: Mapping[str, Any]) -> dict[str, Any]:
    """What the registry is asked for. Raises `RegistryUnavailable`."""
    found: dict[str, Any] = {}
    if given.get("tags_count") or given.get("size"):
        size = bool(given.get("size"))
        details = repositories.ask_of_each(
            rows, lambda registry, path: registry.repository(path, size=size)
        )
        found |= {part: details for part in ("tags_count", "size") if given.get(part)}
    if given.get("tags"):
        found["tags"] = repositories.ask_of_each(
            rows, lambda registry, path: registry.tags(path, n=MAX_TAGS, sort="name").tags
        )
    return found


class ProjectRepositories(Endpoint):
    """``/projects/:id/registry/repositories``"""

    section = "Container registry"
    visitors = True
    jobs = ("GET", "HEAD")

    @operation(
        "List the images of a project",
        takes=ListParameters,
        gives=RepositoryEntity,
        many=True,
        refuses=[404, 503],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Those being deleted included, with their `status`."""
        project = project_for(request.user, id, Ability.READ_IMAGE)
        require_own_job(request, project.pk)
        rows = repositories.repositories_of(project)
        page = page_of(request, given, rows, ["name"])
        context = {"abilities": lambda _: project.abilities, **_asked(page.rows, given)}
        return page.response(RepositoryEntity(page.rows, many=True, context=context).data)


class GroupRepositories(Endpoint):
    """``/groups/:id/registry/repositories``"""

    section = "Container registry"
    visitors = True

    @operation(
        "List the images of a group",
        takes=GroupListParameters,
        gives=RepositoryEntity,
        many=True,
        refuses=[404, 503],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Those of all its projects, at any depth, that one may read."""
        group = group_for(request.user, id)
        page = page_of(request, given, repositories.readable_in(request.user, group), ["path"])
        roles = Roles(request.user)
        context = {
            "abilities": lambda row: roles.abilities(row.project),
            **_asked(page.rows, given),
        }
        return page.response(RepositoryEntity(page.rows, many=True, context=context).data)


class OneRepository(Endpoint):
    """``/registry/repositories/:id``"""

    section = "Container registry"
    visitors = True
    jobs = ("GET", "HEAD")

    @operation("Show an image", takes=ShowParameters, gives=RepositoryEntity, refuses=[404, 503])
    def get(self, request: Request, given: dict[str, Any], id: int) -> Response:
        """By its id alone."""
        row = repository_for(request.user, id, Ability.READ_IMAGE)
        require_own_job(request, row.project_id)
        context = {"abilities": lambda row: row.project.abilities, **_asked([row], given)}
        return Response(RepositoryEntity(row, context=context).data)


class ProjectRepository(Endpoint):
    """``/projects/:id/registry/repositories/:repository_id``"""

    section = "Container registry"

    @operation("Delete an image", status=202, refuses=[404])
    def delete(self, request: Request, id: int | str, repository_id: int) -> Response:
        """With all its tags, by a job: its `status` says how far it is."""
        by = person(request)
        row = repository_for(by, repository_id, Ability.ADMIN_IMAGE, project=id)
        deletion.schedule(by, row)
        return Response(status=202)
