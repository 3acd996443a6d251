"""Runners: the machines that run a project's CI jobs.

Whoever maintains a project registers them and takes them away; a runner itself asks by its token.
Source: https://docs.gitlab.com/api/runners/
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.access_tokens import job_tokens
from gitlab.access_tokens.models import Runner
from gitlab.api.authentication import person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import forbidden, not_found
from gitlab.api.fields import Entity, Moment, WithToken, web_url, with_token
from gitlab.api.lookups import project_for
from gitlab.api.pagination import PageParameters, page_of
from gitlab.api.parameters import Parameters, choice, identifier
from gitlab.authorization import bearers
from gitlab.namespaces.models import Project
from gitlab.namespaces.policies import Ability
from tokens.authorizer import InvalidCredentials

_ORDER = ["-id"]
_ONLINE = dt.timedelta(hours=2)
"""GitLab's bound: a runner that has asked for nothing so long is offline."""


class RunnerEntity(Entity):
    """A runner."""

    id = serializers.IntegerField()
    description = serializers.CharField(source="name")
    runner_type = serializers.SerializerMethodField()
    is_shared = serializers.SerializerMethodField()
    active = serializers.SerializerMethodField()
    paused = serializers.SerializerMethodField()
    online = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField()
    created_at = Moment()

    def get_runner_type(self, runner: Runner) -> str:
        """A runner is always one project's."""
        return "project_type"

    def get_is_shared(self, runner: Runner) -> bool:
        """False: nobody shares it."""
        return False

    def get_active(self, runner: Runner) -> bool:
        """Whether it is not revoked."""
        return not runner.is_revoked

    def get_paused(self, runner: Runner) -> bool:
        """The opposite: nothing pauses here."""
        return runner.is_revoked

    def get_online(self, runner: Runner) -> bool:
        """Whether it has begun a job within two hours."""
        used = runner.last_used_at
        return used is not None and used > timezone.now() - _ONLINE

    def get_status(self, runner: Runner) -> str:
        """``online``, ``offline``, or ``never_contacted``."""
        if runner.last_used_at is None:
            return "never_contacted"
        return "online" if self.get_online(runner) else "offline"


class RunnerProject(Entity):
    """The project that a runner is of."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    path = serializers.CharField()
    path_with_namespace = serializers.CharField(source="full_path")
    web_url = serializers.SerializerMethodField()

    def get_web_url(self, project: Project) -> str:
        """Its page."""
        return web_url(project.full_path)


class RunnerFull(RunnerEntity):
    """A runner, with its project."""

    contacted_at = Moment(source="last_used_at", allow_null=True)
    maximum_timeout = serializers.SerializerMethodField()
    tag_list = serializers.SerializerMethodField()
    projects = serializers.SerializerMethodField()

    def get_maximum_timeout(self, runner: Runner) -> int:
        """The longest time of a job, in seconds."""
        return int(job_tokens.LONGEST_TIMEOUT.total_seconds())

    def get_tag_list(self, runner: Runner) -> list[str]:
        """Empty: there are no pipelines here that would choose a runner."""
        return []

    @extend_schema_field(RunnerProject(many=True))
    def get_projects(self, runner: Runner) -> Any:
        """The one that it is of."""
        return RunnerProject([runner.project], many=True).data


class NewRunnerEntity(WithToken):
    """A new runner, with its token, which nobody can show again."""

    id = serializers.IntegerField()
    token_expires_at = Moment(source="expires_at", allow_null=True)


class ListParameters(PageParameters):
    """Which runners."""

    type = choice(["instance_type", "group_type", "project_type"])
    status = choice(["online", "offline", "never_contacted"])


class CreateParameters(Parameters):
    """A new runner."""

    runner_type = serializers.ChoiceField(choices=["project_type"])
    project_id = identifier()
    description = serializers.CharField(max_length=255, help_text="Its name.")


class TokenParameters(Parameters):
    """Who asks: a runner."""

    token = serializers.CharField(max_length=255)


def runner_of(request: Request, text: str) -> Runner:
    """The runner whose token this is. Raises `ApiError` 403, as GitLab does."""
    try:
        return bearers.runner_of(text, client_ip=request.META.get("REMOTE_ADDR", ""))
    except InvalidCredentials as error:
        raise forbidden("no runner has this token") from error


def runner_for(request: Request, pk: int) -> Runner:
    """A runner that whoever asks may manage. Raises `ApiError` 404."""
    found = job_tokens.runners_for(person(request)).filter(pk=pk).first()
    if found is None:
        raise not_found("Runner")
    return found


def _filtered(given: dict[str, Any], rows: QuerySet[Runner]) -> QuerySet[Runner]:
    if given.get("type", "project_type") != "project_type":
        return rows.none()
    since = timezone.now() - _ONLINE
    match given.get("status"):
        case "online":
            return rows.filter(last_used_at__gt=since)
        case "offline":
            return rows.filter(last_used_at__lte=since)
        case "never_contacted":
            return rows.filter(last_used_at__isnull=True)
    return rows


def _page(request: Request, given: dict[str, Any], rows: QuerySet[Runner]) -> Response:
    page = page_of(request, given, _filtered(given, rows), _ORDER)
    return page.response(RunnerEntity(page.rows, many=True).data)


class RunnersOfProject(Endpoint):
    """``/projects/:id/runners``"""

    section = "Runners"

    @operation(
        "List the runners of a project",
        takes=ListParameters,
        gives=RunnerEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Those that are not revoked, for who maintains it."""
        by = person(request)
        project = project_for(by, id, Ability.MANAGE_RUNNERS)
        return _page(request, given, job_tokens.runners_of(by, project, active=True))


class Runners(Endpoint):
    """``/runners``"""

    section = "Runners"

    @operation("List runners", takes=ListParameters, gives=RunnerEntity, many=True)
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """Those of all projects that one maintains; for administrators of all projects."""
        return _page(request, given, job_tokens.runners_for(person(request)))


class AllRunners(Endpoint):
    """``/runners/all``"""

    section = "Runners"
    administrators = True

    @operation("List all runners", takes=ListParameters, gives=RunnerEntity, many=True)
    def get(self, request: Request, given: dict[str, Any]) -> Response:
        """Of all projects."""
        return _page(request, given, job_tokens.runners_for(person(request)))


class OneRunner(Endpoint):
    """``/runners/:id``"""

    section = "Runners"

    @operation("Show a runner", gives=RunnerFull, refuses=[404])
    def get(self, request: Request, id: int) -> Response:
        """For who maintains its project."""
        return Response(RunnerFull(runner_for(request, id)).data)

    @operation("Remove a runner", status=204, refuses=[404])
    def delete(self, request: Request, id: int) -> Response:
        """It is refused from now on, and its jobs end."""
        job_tokens.revoke_runner(person(request), runner_for(request, id))
        return Response(status=204)


class NewRunner(Endpoint):
    """``/user/runners``"""

    section = "Runners"
    names = {"name": "description"}

    @operation(
        "Register a runner",
        takes=CreateParameters,
        gives=NewRunnerEntity,
        status=201,
        refuses=[404],
    )
    def post(self, request: Request, given: dict[str, Any]) -> Response:
        """Of a project that one maintains."""
        by = person(request)
        project = project_for(by, given["project_id"], Ability.MANAGE_RUNNERS)
        made = job_tokens.create_runner(by, project, name=given["description"])
        return with_token(NewRunnerEntity, *made)


class VerifyRunner(Endpoint):
    """``/runners/verify``"""

    section = "Runners"
    for_machines = True

    @operation("Is a runner known?", takes=TokenParameters, gives=NewRunnerEntity)
    def post(self, request: Request, given: dict[str, Any]) -> Response:
        """By its token."""
        return with_token(
            NewRunnerEntity, runner_of(request, given["token"]), given["token"], status=200
        )
