"""Whose CI jobs may pull from a project, in GitLab's words: the scope of their tokens.

Source: https://docs.gitlab.com/api/project_job_token_scopes/
"""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.access_tokens import job_allowances
from gitlab.access_tokens.models import JobTokenAllowance
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import BadParameter
from gitlab.api.fields import Entity, Moment
from gitlab.api.lookups import missing, project_for
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Parameters, identifier
from gitlab.api.runners import RunnerProject
from gitlab.namespaces.policies import Ability


class ScopeEntity(Entity):
    """Whether the list counts: always."""

    inbound_enabled = serializers.BooleanField()
    outbound_enabled = serializers.BooleanField()


class AllowedEntity(RunnerProject):
    """A project whose jobs may pull."""

    created_at = Moment()

    def to_representation(self, row: JobTokenAllowance) -> Any:
        """The project, and since when it is listed."""
        row.source.created_at = row.created_at
        return super().to_representation(row.source)


class AddedEntity(Entity):
    """What has been listed where."""

    source_project_id = serializers.IntegerField(source="project_id")
    target_project_id = serializers.IntegerField(source="source_id")


class ScopeParameters(Parameters):
    """Whether the list shall count."""

    enabled = serializers.BooleanField(help_text="Only `true` is possible here.")


class AddParameters(Parameters):
    """Whose jobs."""

    target_project_id = identifier()


class JobTokenScope(Endpoint):
    """``/projects/:id/job_token_scope``"""

    section = "Jobs"

    @operation("Show the scope of job tokens", gives=ScopeEntity, refuses=[404])
    def get(self, request: Request, id: int | str) -> Response:
        """Other projects' jobs pull from here only where they are listed."""
        project_for(person(request), id, Ability.MANAGE_RUNNERS)
        return Response({"inbound_enabled": True, "outbound_enabled": False})

    @operation("Change the scope of job tokens", takes=ScopeParameters, status=204, refuses=[404])
    def patch(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """It can't be turned off: nothing changes."""
        project_for(person(request), id, Ability.MANAGE_RUNNERS)
        if not given["enabled"]:
            raise BadParameter("enabled does not have a valid value")
        return Response(status=204)


class Allowlist(Endpoint):
    """``/projects/:id/job_token_scope/allowlist``"""

    section = "Jobs"
    names = {"source": "target_project_id"}

    @operation(
        "List projects whose jobs may pull",
        takes=PageParameters,
        gives=AllowedEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Besides the project itself."""
        by = person(request)
        project = project_for(by, id, Ability.MANAGE_RUNNERS)
        page = page_of(request, given, job_allowances.of(by, project), ["id"])
        return page.response(AllowedEntity(page.rows, many=True).data)

    @operation(
        "Let jobs of a project pull",
        takes=AddParameters,
        gives=AddedEntity,
        status=201,
        refuses=[404, 409],
    )
    def post(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """What those who start them may pull themselves. Twice is as once."""
        by = person(request)
        project = project_for(by, id, Ability.MANAGE_RUNNERS)
        source = project_for(by, given["target_project_id"])
        return Response(AddedEntity(job_allowances.add(by, project, source)).data, status=201)


class Allowed(Endpoint):
    """``/projects/:id/job_token_scope/allowlist/:target_project_id``"""

    section = "Jobs"

    @operation("Let jobs of a project pull no longer", status=204, refuses=[404])
    def delete(self, request: Request, id: int | str, target_project_id: int) -> Response:
        """From now on."""
        by = person(request)
        project = project_for(by, id, Ability.MANAGE_RUNNERS)
        with missing("Project"):
            job_allowances.remove(by, project, target_project_id)
        return Response(status=204)
