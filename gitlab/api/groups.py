"""Groups: found, made, changed, deleted, and what is below them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab import principals
from gitlab.api.authentication import person, require_confirmation
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import BadParameter
from gitlab.api.fields import Entity, Moment, web_url
from gitlab.api.lookups import group_for
from gitlab.api.pagination import ordering as order_of
from gitlab.api.pagination import page_of, sorting
from gitlab.api.parameters import Commas, Parameters, choice, flag, identifier, text
from gitlab.api.shared_groups import SharedGroupEntity, shared_with
from gitlab.container_registry import repositories
from gitlab.namespaces import queries, services
from gitlab.namespaces.models import AccessLevel, Namespace, Visibility
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.roles import Roles
from gitlab.path_changes import services as path_changes
from gitlab.principals import Anybody

_ORDERS = {"id": ("id",), "name": ("name", "id"), "path": ("full_path",)}


class GroupStatistics(Entity):
    """How much is stored in all its projects, in bytes; null where the registry can't tell."""

    storage_size = serializers.IntegerField(allow_null=True)
    container_registry_size = serializers.IntegerField(allow_null=True)
    repository_size = serializers.IntegerField()


class GroupEntity(Entity):
    """A group."""

    id = serializers.IntegerField()
    web_url = serializers.SerializerMethodField()
    name = serializers.CharField()
    path = serializers.CharField()
    description = serializers.CharField()
    visibility = serializers.ChoiceField(choices=Visibility.choices)
    avatar_url = serializers.SerializerMethodField()
    full_name = serializers.SerializerMethodField()
    full_path = serializers.CharField()
    parent_id = serializers.IntegerField(allow_null=True)
    require_two_factor_authentication = serializers.BooleanField()
    two_factor_grace_period = serializers.IntegerField()
    created_at = Moment()
    project_creation_level = serializers.SerializerMethodField()
    subgroup_creation_level = serializers.SerializerMethodField()
    archived = serializers.SerializerMethodField()
    shared_with_groups = serializers.SerializerMethodField()
    statistics = serializers.SerializerMethodField()

    def to_representation(self, group: Namespace) -> Any:
        """Without the statistics that nobody asked for, and in lists without invited groups."""
        shown = super().to_representation(group)
        if "shared" not in self.context:
            del shown["shared_with_groups"]
        if group.pk not in self.context.get("statistics", {}):
            del shown["statistics"]
        return shown

    def get_web_url(self, group: Namespace) -> str:
        """Its page."""
        return web_url(f"groups/{group.full_path}")

    def get_avatar_url(self, group: Namespace) -> str | None:
        """None: nothing has a picture here."""
        return None

    def get_full_name(self, group: Namespace) -> str:
        """``Acme / Tools``"""
        names: Mapping[str, str] = self.context["names"]
        return names[group.full_path]

    def get_project_creation_level(self, group: Namespace) -> str:
        """Who makes projects in it."""
        return "developer"

    def get_subgroup_creation_level(self, group: Namespace) -> str:
        """Who makes groups in it."""
        return "maintainer"

    def get_archived(self, group: Namespace) -> bool:
        """False: projects are archived, groups are not."""
        return False

    @extend_schema_field(SharedGroupEntity(many=True))
    def get_shared_with_groups(self, group: Namespace) -> list[dict[str, Any]]:
        """The groups that are invited to it, where it is shown alone."""
        return list(self.context.get("shared", []))

    @extend_schema_field(GroupStatistics)
    def get_statistics(self, group: Namespace) -> dict[str, Any]:
        """With `statistics=true`, for owners."""
        size = self.context.get("statistics", {}).get(group.pk)
        return {
            "storage_size": size,
            "container_registry_size": size,
            "repository_size": 0,
        }


class ListParameters(sorting(list(_ORDERS))):  # type: ignore[misc]
    """Which groups."""

    search = text()
    skip_groups = Commas(child=identifier(), required=False)
    all_available = flag()
    owned = flag()
    min_access_level = serializers.ChoiceField(choices=AccessLevel.choices, required=False)
    top_level_only = flag()
    visibility = choice(Visibility.choices)
    statistics = flag()


def _filtered(
    user: Anybody, given: Mapping[str, Any], rows: QuerySet[Namespace]
) -> QuerySet[Namespace]:
    if "skip_groups" in given:
        rows = rows.exclude(pk__in=given["skip_groups"])
    if "visibility" in given:
        rows = rows.filter(visibility=given["visibility"])
    lowest = AccessLevel.OWNER if given.get("owned") else given.get("min_access_level")
    if lowest:
        mine = queries.groups_of(user, lowest=lowest).order_by().values("pk")
        rows = rows.filter(pk__in=mine)
    return rows


def _page(request: Request, given: Mapping[str, Any], rows: QuerySet[Namespace]) -> Response:
    page = page_of(request, given, rows, order_of(given, _ORDERS, "name"))
    context = _context(request.user, page.rows, statistics=bool(given.get("statistics")))
    return page.response(GroupEntity(page.rows, many=True, context=context).data)


def _context(user: Anybody, groups: Iterable[Namespace], *, statistics: bool) -> dict[str, Any]:
    context: dict[str, Any] = {"names": queries.full_names(group.full_path for group in groups)}
    if statistics:
        roles, someone = Roles(user), principals.somebody(user)
        all_of_them = someone is not None and someone.is_superuser
        owned = [each for each in groups if all_of_them or roles.level(each) >= AccessLevel.OWNER]
        context["statistics"] = repositories.sizes_of(owned)
    return context


def shown(user: Anybody, group: Namespace, *, statistics: bool = False) -> dict[str, Any]:
    """A group as `user` sees it."""
    context = _context(user, [group], statistics=statistics)
    context["shared"] = shared_with(user, group)
    return dict(GroupEntity(group, context=context).data)


class CreateParameters(Parameters):
    """A new group."""

    name = serializers.CharField()
    path = serializers.CharField()
    parent_id = identifier(required=False, allow_null=True)
    visibility = choice(Visibility.choices)
    description = text(allow_null=True)


class Groups(Endpoint):
    """``/groups``"""

    section = "Groups"
    visitors = True
    names = {"parent": "parent_id"}

    @operation("List groups", takes=ListParameters, gives=GroupEntity, many=True)
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """The groups that one belongs to; with `all_available` those that one may see, which is
        what visitors and administrators get anyway.
        """
        user = principals.somebody(request.user)
        everything = given.get("all_available", user is None or user.is_superuser)
        search = given.get("search", "")
        rows = (
            queries.groups_visible_to(user, search=search)
            if everything
            else queries.groups_of(user, search=search)
        )
        if given.get("top_level_only"):
            rows = rows.filter(parent__isnull=True)
        return _page(request, given, _filtered(user, given, rows))

    @operation(
        "Create a group", takes=CreateParameters, gives=GroupEntity, status=201, refuses=[404, 409]
    )
    def post(self, request: Request, given: dict[str, Any]) -> Response:
        """A new group at the top, or below another."""
        by = person(request)
        parent_id = given.pop("parent_id", None)
        parent = group_for(by, parent_id) if parent_id is not None else None
        arguments = {name: value for name, value in given.items() if value is not None}
        group = services.create_group(by, parent=parent, **arguments)
        return Response(shown(by, group), status=201)


class ShowParameters(Parameters):
    """How much of a group."""

    statistics = flag()
    with_projects = flag(help_text="Ignored: `/groups/:id/projects` has them.")


class ChangeParameters(Parameters):
    """What shall be different."""

    name = text()
    path = text()
    description = text(allow_null=True)
    visibility = choice(Visibility.choices)
    require_two_factor_authentication = flag()
    two_factor_grace_period = serializers.IntegerField(
        required=False, min_value=0, max_value=services.MAX_GRACE, help_text="Hours."
    )


class OneGroup(Endpoint):
    """``/groups/:id``"""

    section = "Groups"
    visitors = True
    confirmed = ["DELETE"]

    @operation("Show a group", takes=ShowParameters, gives=GroupEntity, refuses=[404])
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """A group that one may see."""
        group = group_for(request.user, id)
        statistics = bool(given.get("statistics"))
        return Response(shown(request.user, group, statistics=statistics))

    @operation("Change a group", takes=ChangeParameters, gives=GroupEntity, refuses=[404, 409, 503])
    def put(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """What is given is changed. Another path takes all projects and images along, and is a
        request of its own.
        """
        by = person(request)
        group = group_for(by, id, Ability.ADMIN_GROUP)
        path = given.pop("path", group.path)
        arguments = {name: value for name, value in given.items() if value is not None}
        if arguments.get("visibility") == Visibility.PUBLIC != group.visibility:
            require_confirmation(request)
        if path != group.path and arguments:
            raise BadParameter("path has to be changed alone")
        if path != group.path:
            group = path_changes.change_group_path(by, group, path=path)
        else:
            group = services.update_group(by, group, **arguments)
        return Response(shown(by, group))

    @operation("Delete a group", status=202, refuses=[404, 409])
    def delete(self, request: Request, id: int | str) -> Response:
        """Without projects: those are deleted first."""
        by = person(request)
        services.delete_group(by, group_for(by, id, Ability.REMOVE_GROUP))
        return Response({"message": "202 Accepted"}, status=202)


class Subgroups(Endpoint):
    """``/groups/:id/subgroups``"""

    section = "Groups"
    visitors = True

    @operation(
        "List the groups of a group",
        takes=ListParameters,
        gives=GroupEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Those directly in it, as far as one may see them."""
        group = group_for(request.user, id)
        search = given.get("search", "")
        rows = queries.groups_visible_to(request.user, search=search, parent=group)
        return _page(request, given, _filtered(request.user, given, rows))


class DescendantGroups(Endpoint):
    """``/groups/:id/descendant_groups``"""

    section = "Groups"
    visitors = True

    @operation(
        "List all groups below a group",
        takes=ListParameters,
        gives=GroupEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Those at any depth, as far as one may see them."""
        group = group_for(request.user, id)
        rows = queries.groups_below(request.user, group, search=given.get("search", ""))
        return _page(request, given, _filtered(request.user, given, rows))
