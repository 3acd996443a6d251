"""CI jobs: a runner says that one begins and gets its token, and reports it done.

There are no pipelines here, so a runner is not given jobs to run: it brings each along. Reports are
as in GitLab. Source: https://docs.gitlab.com/api/jobs/, and what gitlab-runner sends.
"""

from __future__ import annotations

import datetime as dt
from typing import Any

from django.conf import settings
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from gitlab.access_tokens import job_tokens
from gitlab.access_tokens.models import Job, Runner
from gitlab.api.authentication import credential, person
from gitlab.api.base import Endpoint, operation
from gitlab.api.errors import not_found, unauthorized
from gitlab.api.fields import Entity, Moment, UserBasic, WithToken, with_token
from gitlab.api.lookups import missing, project_for
from gitlab.api.pagination import Listed, PageParameters, page_of
from gitlab.api.parameters import Commas, Parameters, choice
from gitlab.api.runners import runner_for, runner_of
from gitlab.authorization.credentials.job_token import USERNAME
from gitlab.namespaces.policies import Ability

_ORDER = ["-id"]
_LONGEST = int(job_tokens.LONGEST_TIMEOUT.total_seconds())
_USUAL = int(job_tokens.DEFAULT_TIMEOUT.total_seconds())


class JobRunner(Entity):
    """The runner of a job."""

    id = serializers.IntegerField()
    description = serializers.CharField(source="name")
    is_shared = serializers.SerializerMethodField()

    def get_is_shared(self, runner: Runner) -> bool:
        """False: a runner is one project's."""
        return False


class JobEntity(Entity):
    """A job. `ends_at` is ours: when its token ends at the latest."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    status = serializers.ChoiceField(choices=Job.Status.choices)
    project_id = serializers.IntegerField()
    created_at = Moment(source="started_at")
    started_at = Moment()
    finished_at = Moment(allow_null=True)
    ends_at = Moment()
    user = UserBasic()
    runner = JobRunner()


class JobInfo(Entity):
    """Which job it is, for its runner."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    project_id = serializers.IntegerField()
    project_name = serializers.CharField(source="project.name")


class Variable(Entity):
    """A variable that a runner hands to the job's scripts."""

    key = serializers.CharField()
    value = serializers.CharField(allow_blank=True)
    public = serializers.BooleanField()
    masked = serializers.BooleanField()


class NewJobEntity(WithToken):
    """A job that has begun, for its runner: with its token, which nobody can show again."""

    id = serializers.IntegerField()
    job_info = JobInfo(source="*")
    ends_at = Moment()
    variables = serializers.SerializerMethodField()

    @extend_schema_field(Variable(many=True))
    def get_variables(self, job: Job) -> Any:
        """GitLab's, as far as images need them."""
        return [
            {"key": key, "value": value, "public": not is_secret, "masked": is_secret}
            for key, value, is_secret in _variables(job, str(self.context["text"]))
        ]


def _variables(job: Job, token: str) -> list[tuple[str, str, bool]]:
    """Each variable with whether it is secret."""
    host = settings.CONTAINER_REGISTRY_HOST_PORT
    shown = {
        "CI": "true",
        "CI_JOB_ID": str(job.pk),
        "CI_JOB_NAME": job.name,
        "CI_PROJECT_ID": str(job.project_id),
        "CI_PROJECT_PATH": job.project.full_path,
        "CI_SERVER_URL": settings.EXTERNAL_URL,
        "CI_API_V4_URL": f"{settings.EXTERNAL_URL}/api/v4",
        "CI_REGISTRY": host,
        "CI_REGISTRY_IMAGE": f"{host}/{job.project.full_path}",
        "CI_REGISTRY_USER": USERNAME,
        "GITLAB_USER_LOGIN": job.user.username,
    }
    secret = {"CI_JOB_TOKEN": token, "CI_REGISTRY_PASSWORD": token}
    return [
        *((key, value, False) for key, value in shown.items()),
        *((key, value, True) for key, value in secret.items()),
    ]


class ListParameters(PageParameters):
    """Which jobs."""

    scope = Commas(
        child=serializers.ChoiceField(choices=Job.Status.choices), required=False, max_length=10
    )


class RunnerListParameters(PageParameters):
    """Which jobs of a runner."""

    status = choice(Job.Status.choices)


class RequestParameters(Parameters):
    """The job that a runner has begun, and who it is."""

    token = serializers.CharField(max_length=255, help_text="The runner's.")
    name = serializers.CharField(max_length=255)
    username = serializers.CharField(
        required=False,
        allow_blank=True,
        max_length=255,
        help_text="Who started it: somebody who develops in the project. Who registered the"
        " runner, where it is left out.",
    )
    timeout = serializers.IntegerField(
        required=False, min_value=1, max_value=_LONGEST, help_text=f"Seconds; {_USUAL} by default."
    )


class ReportParameters(Parameters):
    """How a job is over, and who says so."""

    token = serializers.CharField(max_length=255, help_text="The job's, or its runner's.")
    state = serializers.ChoiceField(choices=job_tokens.ENDS)


def _response(page: Listed) -> Response:
    return page.response(JobEntity(page.rows, many=True).data)


class JobsOfProject(Endpoint):
    """``/projects/:id/jobs``"""

    section = "Jobs"

    @operation(
        "List the jobs of a project",
        takes=ListParameters,
        gives=JobEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], id: int | str) -> Response:
        """Those of the last month, for who maintains it."""
        by = person(request)
        project = project_for(by, id, Ability.MANAGE_RUNNERS)
        rows = job_tokens.jobs_of(by, project, statuses=given.get("scope", ()))
        return _response(page_of(request, given, rows, _ORDER))


class JobOfProject(Endpoint):
    """``/projects/:id/jobs/:job_id``"""

    section = "Jobs"

    @operation("Show a job", gives=JobEntity, refuses=[404])
    def get(self, request: Request, id: int | str, job_id: int) -> Response:
        """One of the last month, for who maintains the project."""
        by = person(request)
        project = project_for(by, id, Ability.MANAGE_RUNNERS)
        job = job_tokens.jobs_of(by, project).filter(pk=job_id).first()
        if job is None:
            raise not_found("Job")
        return Response(JobEntity(job).data)


class JobsOfRunner(Endpoint):
    """``/runners/:id/jobs``"""

    section = "Jobs"

    @operation(
        "List the jobs of a runner",
        takes=RunnerListParameters,
        gives=JobEntity,
        many=True,
        refuses=[404],
    )
    def get(self, request: Request, given: dict[str, Any], id: int) -> Response:
        """Those of the last month, for who maintains its project."""
        runner = runner_for(request, id)
        statuses = [given["status"]] if "status" in given else []
        rows = job_tokens.jobs_of(person(request), runner.project, statuses=statuses)
        return _response(page_of(request, given, rows.filter(runner=runner), _ORDER))


class ThisJob(Endpoint):
    """``/job``"""

    section = "Jobs"
    jobs = ("GET", "HEAD")

    @operation("Show the job whose token is in use", gives=JobEntity)
    def get(self, request: Request) -> Response:
        """The one that the request came with the token of."""
        used = credential(request)
        row = job_tokens.find(used.text) if used and used.job_project is not None else None
        if row is None:
            raise unauthorized()
        job = Job.objects.select_related("runner", "user").get(pk=row.id)
        return Response(JobEntity(job).data)


class RequestJob(Endpoint):
    """``/jobs/request``"""

    section = "Jobs"
    for_machines = True

    @operation(
        "Begin a job",
        takes=RequestParameters,
        gives=NewJobEntity,
        status=201,
        refuses=[404, 409],
    )
    def post(self, request: Request, given: dict[str, Any]) -> Response:
        """By a runner. The token works until the job is reported done, or its time is over.

        Ours in what it takes: in GitLab a runner asks for a job that waits for it, and none waits
        here.
        """
        runner = runner_of(request, given["token"])
        timeout = dt.timedelta(seconds=given.get("timeout", _USUAL))
        made = job_tokens.start_job(
            runner, name=given["name"], username=given.get("username", ""), timeout=timeout
        )
        return with_token(NewJobEntity, *made)


class ReportJob(Endpoint):
    """``/jobs/:id``"""

    section = "Jobs"
    for_machines = True
    names = {"status": "state"}

    @operation("Report a job done", takes=ReportParameters, gives=JobEntity, refuses=[404])
    def put(self, request: Request, given: dict[str, Any], id: int) -> Response:
        """Its token is refused from now on. What is done stays as it is."""
        text, state = given["token"], given["state"]
        with missing("Job"):
            if job_tokens.looks_like_one(text):
                job = job_tokens.finish_own(text, id, state)
            else:
                job = job_tokens.finish_job(runner_of(request, text), id, state)
        return Response(JobEntity(job).data)
