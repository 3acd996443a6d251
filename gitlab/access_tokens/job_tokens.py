"""Runners and the tokens of CI jobs.

    a maintainer registers a Runner ──► glrt-… ──► the machine asks for each job ──► glcbt-…

A job's token works while the job is running: until the runner reports it done, or its time is over.
It is good for the project's own images; elsewhere it reads what whoever started the job may, where
`job_allowances` let it. There are no pipelines here, so the runner says who started a job: only
somebody who develops in the project, or whoever registered the runner.
Source: https://docs.gitlab.com/ci/jobs/ci_job_token/
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from typing import NamedTuple

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from gitlab.access_tokens import checks, credentials, token_text
from gitlab.access_tokens.models import Job, Runner
from gitlab.access_tokens.token_text import Prefix, digest_of
from gitlab.accounts.models import User
from gitlab.accounts.rows import PERSON_COLUMNS, PersonRow
from gitlab.audit.services import record
from gitlab.namespaces import queries, user_access
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.models import AccessLevel, Project
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Conflict, Forbidden, Invalid, NotFound
from gitlab.revocations import services as revocations
from gitlab.server.databases import rows

DEFAULT_TIMEOUT = dt.timedelta(hours=1)
LONGEST_TIMEOUT = dt.timedelta(days=1)
MOST_JOBS = 500
"""Of a runner at a time."""
ENDS = [status for status in Job.Status.values if status != Job.Status.RUNNING]
"""How a job may be over."""

_KEPT = dt.timedelta(days=30)
_SWEPT_AT_ONCE = 1000


class JobRow(NamedTuple):
    """A job with who started it, as every request for a registry token reads it."""

    id: int
    status: str
    ends_at: dt.datetime
    project_id: int
    user_id: int
    username: str
    user_name: str
    user_state: str
    user_external: bool
    user_is_superuser: bool
    user_type: str

    @property
    def owner(self) -> PersonRow:
        """Who started it."""
        return PersonRow(*self[4:])

    @property
    def is_usable(self) -> bool:
        """Whether its token works: it is running, in time, and who started it is not blocked."""
        is_running = self.status == Job.Status.RUNNING and self.ends_at > timezone.now()
        return is_running and self.owner.is_active


_FIND = f"""
SELECT j.id, j.status, j.ends_at, j.project_id, {PERSON_COLUMNS}
FROM access_tokens_job j JOIN accounts_user u ON u.id = j.user_id
WHERE j.digest = %s
"""


# Runners


@transaction.atomic
def create_runner(by: Person, project: Project, *, name: str) -> tuple[Runner, str]:
    """Register a runner of a project; the text of its token, which nobody can show again.

    Raises `Invalid` for ``name``.
    """
    require_in_project(by, project, Ability.MANAGE_RUNNERS)
    if by.is_bot:
        raise Forbidden("A bot registers no runner.")
    text = token_text.generate(Prefix.RUNNER)
    runner = Runner.objects.create(
        project=project,
        name=checks.check_name(name),
        digest=digest_of(text),
        created_by_id=by.pk,
    )
    record("runner.create", by=by, target=runner, path=project.full_path, name=runner.name)
    return runner, text


@transaction.atomic
def revoke_runner(by: Person, runner: Runner) -> Runner:
    """Refuse a runner from now on, and end its jobs. Twice is the same as once."""
    require_in_project(by, runner.project, Ability.MANAGE_RUNNERS)
    now = timezone.now()
    found = Runner.objects.filter(pk=runner.pk, revoked_at__isnull=True)
    if found.update(revoked_at=now):
        running = Job.objects.filter(runner=runner, status=Job.Status.RUNNING)
        for pk in running.values_list("pk", flat=True):
            revocations.end_tokens(credential=credentials.of_job(pk))
        running.update(status=Job.Status.CANCELED, finished_at=now)
        path = runner.project.full_path
        record("runner.revoke", by=by, target=runner, path=path, name=runner.name)
    runner.refresh_from_db(fields=["revoked_at"])
    return runner


def runners_of(by: Person, project: Project, *, active: bool | None = None) -> QuerySet[Runner]:
    """The runners of a project, the newest first; `active`: those that are not revoked."""
    require_in_project(by, project, Ability.MANAGE_RUNNERS)
    found = Runner.objects.filter(project=project).order_by("-created_at", "-id")
    return found if active is None else found.filter(revoked_at__isnull=active)


def get_runner_for(by: Person, project: Project, pk: int) -> Runner:
    """A runner of a project, for somebody who may manage it. Raises `NotFound`."""
    found = runners_of(by, project).select_related("project__namespace").filter(pk=pk).first()
    if found is None:
        raise NotFound("no such runner")
    return found


def runners_for(by: Person) -> QuerySet[Runner]:
    """The runners that are not revoked, of all projects whose runners somebody may manage."""
    found = Runner.objects.filter(revoked_at__isnull=True).select_related("project__namespace")
    if by.is_superuser:
        return found.filter(project__pending_delete_at__isnull=True)
    mine = queries.projects_of(by, lowest=AccessLevel.MAINTAINER).order_by()
    return found.filter(project_id__in=mine.values("pk"))


def find_runner(text: str) -> Runner | None:
    """The usable runner whose token this is."""
    if not token_text.is_of(Prefix.RUNNER, text) or not token_text.may_exist(text):
        return None
    found = Runner.objects.select_related("project__namespace", "created_by")
    return found.filter(
        checks.usable(), digest=digest_of(text), project__pending_delete_at__isnull=True
    ).first()


# Jobs


def start_job(
    runner: Runner,
    *,
    name: str,
    username: str = "",
    timeout: dt.timedelta = DEFAULT_TIMEOUT,
) -> tuple[Job, str]:
    """A job that a runner has begun, and the text of its token, shown to the runner alone.

    `username` is who started it (default: who registered the runner). Raises `Invalid` for
    ``name``, ``username``, ``timeout``; `Conflict` where too many are running.
    """
    name = checks.check_name(name)
    if not dt.timedelta(0) < timeout <= LONGEST_TIMEOUT:
        raise Invalid({"timeout": f"At most {LONGEST_TIMEOUT.total_seconds():.0f} seconds."})
    user = _starter(runner, username)
    text = token_text.generate(Prefix.JOB)
    now = timezone.now()
    with transaction.atomic():
        # Held, so that a runner that is revoked meanwhile has no job left running.
        held = Runner.objects.select_for_update(of=("self",)).filter(checks.usable(), pk=runner.pk)
        if held.first() is None:
            raise NotFound("no such runner")
        running = Job.objects.filter(runner=runner, status=Job.Status.RUNNING, ends_at__gt=now)
        if running.count() >= MOST_JOBS:
            raise Conflict({"__all__": f"At most {MOST_JOBS} jobs of a runner at a time."})
        if Runner.objects.filter(pk=runner.pk, last_used_at__isnull=True).update(last_used_at=now):
            path = runner.project.full_path
            record("runner.first_use", by=user, target=runner, path=path, name=runner.name)
        else:
            Runner.objects.filter(pk=runner.pk).update(last_used_at=now)
        job = Job.objects.create(
            runner=runner,
            project_id=runner.project_id,
            user=user,
            name=name,
            digest=digest_of(text),
            started_at=now,
            ends_at=now + timeout,
        )
    return job, text


def _starter(runner: Runner, username: str) -> User:
    """Who started a job: somebody who develops in the project. Raises `Invalid`."""
    wanted = username.strip().lower() or runner.created_by.username
    user = User.objects.filter(username=wanted).first()
    if user is None or user.is_bot or not _develops(user, runner.project):
        raise Invalid({"username": "Only somebody who develops in the project starts a job there."})
    return user


def _develops(user: User, project: Project) -> bool:
    return user_access.in_project(user, project).level >= AccessLevel.DEVELOPER


def finish_job(runner: Runner, pk: int, status: str) -> Job:
    """Report a runner's job done: its token is refused from now on. What is done stays as it is.

    Raises `NotFound` for another runner's, `Invalid` for ``status``.
    """
    if status not in ENDS:
        raise Invalid({"status": f"One of {', '.join(ENDS)}."})
    mine = Job.objects.filter(runner=runner, pk=pk)
    running = mine.filter(status=Job.Status.RUNNING)
    with transaction.atomic():
        if running.update(status=status, finished_at=timezone.now()):
            revocations.end_tokens(credential=credentials.of_job(pk))
    job = mine.first()
    if job is None:
        raise NotFound("no such job")
    return job


def finish_own(text: str, pk: int, status: str) -> Job:
    """As `finish_job`, by the job's own token. Raises `NotFound` for that of another job."""
    job = Job.objects.select_related("runner").filter(digest=digest_of(text), pk=pk).first()
    if job is None:
        raise NotFound("no such job")
    return finish_job(job.runner, pk, status)


def jobs_of(by: Person, project: Project, *, statuses: Collection[str] = ()) -> QuerySet[Job]:
    """The jobs of a project's runners within the last month, the newest first.

    `statuses` limits them to those. Needs `Ability.MANAGE_RUNNERS`.
    """
    require_in_project(by, project, Ability.MANAGE_RUNNERS)
    found = Job.objects.filter(project=project).select_related("runner", "user").order_by("-id")
    return found.filter(status__in=statuses) if statuses else found


def looks_like_one(text: str) -> bool:
    """Whether `text` has the prefix of a job's token."""
    return token_text.is_of(Prefix.JOB, text)


def find(text: str) -> JobRow | None:
    """The job with this token, usable or not, in one query."""
    if not token_text.may_exist(text):
        return None
    found = rows.read(JobRow, _FIND, [digest_of(text)])
    return found[0] if found else None


def sweep() -> int:
    """Note as failed what nobody has reported in time, and remove what ended a month ago.

    At most 1,000 of each; how many went.
    """
    now = timezone.now()
    late = Job.objects.filter(status=Job.Status.RUNNING, ends_at__lte=now).order_by("ends_at")
    pks = list(late.values_list("pk", flat=True)[:_SWEPT_AT_ONCE])
    Job.objects.filter(pk__in=pks, status=Job.Status.RUNNING).update(
        status=Job.Status.FAILED, finished_at=now
    )
    old = Job.objects.filter(ends_at__lt=now - _KEPT).exclude(status=Job.Status.RUNNING)
    gone = list(old.order_by("ends_at").values_list("pk", flat=True)[:_SWEPT_AT_ONCE])
    return Job.objects.filter(pk__in=gone).delete()[0]
