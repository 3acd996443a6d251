"""Who and what belong together: of a token, of a person, of a project."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api.authentication import credential, person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import unauthorized
from gitlab.api.fields import Entity, UserBasic, web_url
from gitlab.api.lookups import project_for, user_called
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Commas, choice, identifier, text
from gitlab.api.project_entities import ProjectSimple
from gitlab.api.transfers import LocationEntity
from gitlab.namespaces import members, queries, user_access
from gitlab.namespaces.models import AccessLevel, Member, Namespace, Project, Visibility
from gitlab.namespaces.paths import prefixes
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.roles import Roles


class AssociatedGroup(Entity):
    """A group with one's role in it."""

    id = serializers.IntegerField()
    web_url = serializers.SerializerMethodField()
    name = serializers.CharField()
    parent_id = serializers.IntegerField(allow_null=True)
    access_levels = serializers.SerializerMethodField()
    visibility = serializers.ChoiceField(choices=Visibility.choices)

    def get_web_url(self, group: Namespace) -> str:
        """Its page."""
        return web_url(f"groups/{group.full_path}")

    def get_access_levels(self, group: Namespace) -> int:
        """The highest role here and above."""
        roles: Roles = self.context["roles"]
        return int(roles.level_above(group))


class AccessLevelsEntity(Entity):
    """One's roles in a project, and in the groups above it."""

    project_access_level = serializers.IntegerField(allow_null=True)
    group_access_level = serializers.IntegerField(allow_null=True)


class AssociatedProject(ProjectSimple):
    """A project with one's roles in it."""

    access_levels = serializers.SerializerMethodField()
    visibility = serializers.ChoiceField(choices=Visibility.choices)

    @extend_schema_field(AccessLevelsEntity)
    def get_access_levels(self, project: Project) -> dict[str, int | None]:
        """Null where there is none."""
        roles: Roles = self.context["roles"]
        return {
            "project_access_level": roles.projects.get(project.pk),
            "group_access_level": roles.level_above(project) or None,
        }


class AssociationsEntity(Entity):
    """A page of the groups, and one of the projects, that a token reaches by a role."""

    groups = AssociatedGroup(many=True)
    projects = AssociatedProject(many=True)


class MembershipEntity(Entity):
    """Where somebody is a member."""

    source_id = serializers.SerializerMethodField()
    source_name = serializers.SerializerMethodField()
    source_type = serializers.SerializerMethodField()
    access_level = serializers.IntegerField()

    def get_source_id(self, member: Member) -> int:
        """The id of the project or group."""
        return int(member.project_id or member.namespace_id or 0)

    def get_source_name(self, member: Member) -> str:
        """Its name."""
        source = member.project or member.namespace
        return source.name if source is not None else ""

    def get_source_type(self, member: Member) -> str:
        """``Project`` or ``Namespace``."""
        return "Project" if member.project_id else "Namespace"


class AssociationsParameters(PageParameters):
    """Which of them. Both lists have as many entries as a page has, and the same number."""

    min_access_level = serializers.ChoiceField(choices=AccessLevel.choices, required=False)


class MembershipsParameters(PageParameters):
    """Which of them."""

    type = choice(["Project", "Namespace"])


class PeopleParameters(PageParameters):
    """Which people."""

    search = text(help_text="A part of the name or user name.")
    skip_users = Commas(child=identifier(), required=False)


class GroupsParameters(PageParameters):
    """Which groups."""

    search = text()
    skip_groups = Commas(child=identifier(), required=False)


class Associations(Endpoint):
    """``/personal_access_tokens/self/associations``"""

    section = "Personal access tokens"

    @operation(
        "List what the token in use reaches", takes=AssociationsParameters, gives=AssociationsEntity
    )
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """The groups and projects in which it has a role, by its owner's memberships."""
        used, by = credential(request), person(request)
        if used is None or used.token is None:
            raise unauthorized()
        lowest = given.get("min_access_level", AccessLevel.GUEST)
        groups = page_of(request, given, queries.groups_of(by, lowest=lowest), ["full_path"])
        projects = page_of(request, given, queries.projects_of(by, lowest=lowest), ["full_path"])
        names = queries.full_names(project.namespace.full_path for project in projects.rows)
        shown = {"groups": groups.rows, "projects": projects.rows}
        context = {"roles": Roles(by), "names": names}
        return Response(AssociationsEntity(shown, context=context).data)


class Memberships(Endpoint):
    """``/users/:id/memberships``"""

    section = "Users"
    administrators = True

    @operation(
        "List where somebody is a member",
        takes=MembershipsParameters,
        gives=MembershipEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Of the projects and groups themselves; what follows from those above is left out."""
        rows = user_access.live_members().filter(user_id=user_called(id).pk)
        if "type" in given:
            rows = rows.filter(project__isnull=given["type"] != "Project")
        page = page_of(request, given, rows.select_related("project", "namespace"), ["id"])
        return page.response(MembershipEntity(page.rows, many=True).data)


class PeopleOfProject(Endpoint):
    """``/projects/:id/users``"""

    section = "Projects"
    visitors = True

    @operation(
        "List the people of a project",
        takes=PeopleParameters,
        gives=UserBasic,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Everybody who belongs to it, also by a group above."""
        project = project_for(request.user, id, Ability.READ_MEMBERS)
        rows = members.people_of(project)
        if given.get("search"):
            wanted = given["search"].strip().lower()
            rows = rows.filter(Q(username__contains=wanted) | Q(name__icontains=wanted))
        if "skip_users" in given:
            rows = rows.exclude(pk__in=given["skip_users"])
        page = page_of(request, given, rows, ["id"])
        return page.response(UserBasic(page.rows, many=True).data)


class GroupsOfProject(Endpoint):
    """``/projects/:id/groups``"""

    section = "Projects"
    visitors = True

    @operation(
        "List the groups above a project",
        takes=GroupsParameters,
        gives=LocationEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """As far as one may see them."""
        project = project_for(request.user, id)
        rows = queries.groups_visible_to(request.user, search=given.get("search", ""))
        rows = rows.filter(full_path__in=prefixes(project.namespace.full_path))
        if "skip_groups" in given:
            rows = rows.exclude(pk__in=given["skip_groups"])
        page = page_of(request, given, rows, ["full_path"])
        names = queries.full_names(group.full_path for group in page.rows)
        return page.response(LocationEntity(page.rows, many=True, context={"names": names}).data)
