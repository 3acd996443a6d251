"""Projects and groups that come to another place, with their images; and where they can."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api import groups, projects
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.fields import Entity, web_url
from gitlab.api.groups import GroupEntity
from gitlab.api.lookups import as_id_or_path, group_for, namespace_for, project_for
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Parameters, identifier, text
from gitlab.api.project_entities import ProjectEntity
from gitlab.namespaces import queries
from gitlab.namespaces.models import Namespace, Routable
from gitlab.namespaces.policies import Ability
from gitlab.path_changes import services


class LocationEntity(Entity):
    """A group to which something can be transferred."""

    id = serializers.IntegerField()
    web_url = serializers.SerializerMethodField()
    name = serializers.CharField()
    avatar_url = serializers.SerializerMethodField()
    full_name = serializers.SerializerMethodField()
    full_path = serializers.CharField()

    def get_web_url(self, group: Namespace) -> str:
        """Its page."""
        return web_url(f"groups/{group.full_path}")

    def get_avatar_url(self, group: Namespace) -> str | None:
        """None: nothing has a picture here."""
        return None

    def get_full_name(self, group: Namespace) -> str:
        """``Acme / Tools``"""
        return str(self.context["names"][group.full_path])


class LocationParameters(PageParameters):
    """Which groups."""

    search = text()


class ProjectParameters(Parameters):
    """Where to."""

    namespace = serializers.CharField(help_text="An id or a path.")


class GroupParameters(Parameters):
    """Where to."""

    group_id = identifier(
        required=False, allow_null=True, help_text="To the top where it is left out."
    )


class TransferProject(Endpoint):
    """``/projects/:id/transfer``"""

    section = "Projects"

    @operation(
        "Transfer a project",
        takes=ProjectParameters,
        gives=ProjectEntity,
        refuses=[404, 409, 503],
    )
    def put(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """To another namespace, with its images."""
        by = person(request)
        project = project_for(by, id, Ability.REMOVE_PROJECT)
        namespace = namespace_for(by, as_id_or_path(given["namespace"]), Ability.CREATE_PROJECT)
        project = services.transfer_project(by, project, namespace=namespace)
        return Response(projects.shown(by, project))


class TransferIntoGroup(Endpoint):
    """``/groups/:id/projects/:project_id``"""

    section = "Groups"

    @operation(
        "Transfer a project into a group",
        gives=GroupEntity,
        status=201,
        refuses=[404, 409, 503],
    )
    def post(self, request: Request, id: int | str, project_id: int | str) -> Response:
        """With its images. The answer is the group."""
        by = person(request)
        group = group_for(by, id, Ability.CREATE_PROJECT)
        project = project_for(by, project_id, Ability.REMOVE_PROJECT)
        services.transfer_project(by, project, namespace=group)
        return Response(groups.shown(by, group), status=201)


class TransferGroup(Endpoint):
    """``/groups/:id/transfer``"""

    section = "Groups"
    names = {"parent": "group_id"}

    @operation(
        "Transfer a group",
        takes=GroupParameters,
        gives=GroupEntity,
        status=201,
        refuses=[404, 409, 503],
    )
    def post(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Into another group, or to the top; its subgroups, projects and images come along."""
        by = person(request)
        group = group_for(by, id, Ability.REMOVE_GROUP)
        parent_id = given.get("group_id")
        parent = group_for(by, parent_id, Ability.CREATE_SUBGROUP) if parent_id else None
        group = services.transfer_group(by, group, parent=parent)
        return Response(groups.shown(by, group), status=201)


class TransferLocationsOf(Endpoint):
    """``/projects/:id/transfer_locations`` and ``/groups/:id/transfer_locations``"""

    section = "Groups"
    of_both = True

    @operation(
        "List groups to transfer to",
        takes=LocationParameters,
        gives=LocationEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], kind: str, id: int | str) -> Response:
        """Those in which one may make projects, or groups; for who may give away what is there."""
        by = person(request)
        routable: Routable = (
            project_for(by, id, Ability.REMOVE_PROJECT)
            if kind == "project"
            else group_for(by, id, Ability.REMOVE_GROUP)
        )
        rows = queries.groups_to_transfer_to(by, routable, search=given.get("search", ""))
        page = page_of(request, given, rows, ["full_path"])
        names = queries.full_names(group.full_path for group in page.rows)
        return page.response(LocationEntity(page.rows, many=True, context={"names": names}).data)
