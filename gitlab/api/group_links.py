"""Groups that are invited to groups and projects: GitLab's ``share``."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.api import groups
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import ApiError
from gitlab.api.fields import Entity
from gitlab.api.groups import GroupEntity
from gitlab.api.lookups import group_for, missing, project_for
from gitlab.api.parameters import Day, Parameters, identifier
from gitlab.namespaces import group_links
from gitlab.namespaces.models import AccessLevel, GroupLink, Routable
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Invalid


class ProjectLinkEntity(Entity):
    """An invitation of a group to a project."""

    id = serializers.IntegerField()
    project_id = serializers.IntegerField()
    group_id = serializers.IntegerField()
    group_access = serializers.IntegerField()
    expires_at = serializers.DateField(allow_null=True)


class ShareParameters(Parameters):
    """Which group, and the highest level that its members get."""

    group_id = identifier()
    group_access = serializers.ChoiceField(choices=AccessLevel.choices)
    expires_at = Day(
        required=False, allow_null=True, help_text="The first day on which it no longer holds."
    )


def _share(by: Person, routable: Routable, given: dict[str, Any]) -> GroupLink:
    group = group_for(by, given["group_id"])
    try:
        return group_links.share(
            by, routable, group, given["group_access"], given.get("expires_at")
        )
    except Invalid as error:
        if error.reason == "taken":
            raise ApiError(409, {"message": "The group is already shared with"}) from error
        raise


class ShareProject(Endpoint):
    """``/projects/:id/share``"""

    section = "Members"
    names = {"group": "group_id", "access_level": "group_access"}

    @operation(
        "Invite a group to a project",
        takes=ShareParameters,
        gives=ProjectLinkEntity,
        status=201,
        refuses=[404, 409],
    )
    def post(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Its direct members get their level in it, but no higher than the one given."""
        by = person(request)
        link = _share(by, project_for(by, id, Ability.ADMIN_MEMBERS), given)
        return Response(ProjectLinkEntity(link).data, status=201)


class UnshareProject(Endpoint):
    """``/projects/:id/share/:group_id``"""

    section = "Members"

    @operation("Take back the invitation of a group", status=204, refuses=[404])
    def delete(self, request: Request, id: int | str, group_id: int) -> Response:
        """Rights that somebody had by it end at the next request."""
        by = person(request)
        project = project_for(by, id, Ability.ADMIN_MEMBERS)
        with missing(""):
            group_links.unshare(by, project, group_id)
        return Response(status=204)


class ShareGroup(Endpoint):
    """``/groups/:id/share``"""

    section = "Members"
    names = {"group": "group_id", "access_level": "group_access"}

    @operation(
        "Invite a group to a group",
        takes=ShareParameters,
        gives=GroupEntity,
        status=201,
        refuses=[404, 409],
    )
    def post(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """The answer is the group to which it is invited."""
        by = person(request)
        group = group_for(by, id, Ability.ADMIN_MEMBERS)
        _share(by, group, given)
        return Response(groups.shown(by, group), status=201)


class UnshareGroup(Endpoint):
    """``/groups/:id/share/:group_id``"""

    section = "Members"

    @operation("Take back the invitation of a group", status=204, refuses=[404])
    def delete(self, request: Request, id: int | str, group_id: int) -> Response:
        """Rights that somebody had by it end at the next request."""
        by = person(request)
        group = group_for(by, id, Ability.ADMIN_MEMBERS)
        with missing(""):
            group_links.unshare(by, group, group_id)
        return Response(status=204)
