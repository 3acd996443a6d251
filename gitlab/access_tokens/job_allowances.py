"""Whose CI jobs may pull from a project: GitLab's allowlist of job tokens.

A project's own jobs always may. Others may what the person who started them may, once the project
lists theirs: otherwise whoever can make a person start a job could read all that the person can.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from django.db import transaction
from django.db.models import QuerySet

from gitlab.access_tokens.models import JobTokenAllowance
from gitlab.audit.services import record
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.models import Project
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Conflict, Invalid, NotFound
from gitlab.server.databases import rows

MOST = 200
"""Projects that one project lists: GitLab's bound."""


class _AllowedRow(NamedTuple):
    project_id: int


_ALLOWING = """
SELECT project_id FROM access_tokens_jobtokenallowance
WHERE source_id = %s AND project_id IN ({})
"""


def allowing(source_id: int, projects: Collection[int]) -> set[int]:
    """Which of `projects` let jobs of the project `source_id` pull. One query, none for none."""
    if not projects:
        return set()
    asked = [source_id, *projects]
    found = rows.read(_AllowedRow, _ALLOWING.format(rows.marks(list(projects))), asked)
    return {row.project_id for row in found}


def of(by: Person, project: Project) -> QuerySet[JobTokenAllowance]:
    """What a project lists, by path."""
    require_in_project(by, project, Ability.MANAGE_RUNNERS)
    found = JobTokenAllowance.objects.filter(project=project).select_related("source")
    return found.order_by("source__full_path")


@transaction.atomic
def add(by: Person, project: Project, source: Project) -> JobTokenAllowance:
    """Let jobs of `source` pull. Twice is as once.

    Raises `NotFound` for a source that `by` can't see, `Invalid` for ``source``.
    """
    require_in_project(by, project, Ability.MANAGE_RUNNERS)
    require_in_project(by, source, Ability.READ_PROJECT)
    if source.pk == project.pk:
        raise Invalid({"source": "A project's own jobs may pull anyway."})
    if JobTokenAllowance.objects.filter(project=project).count() >= MOST:
        raise Conflict({"source": f"At most {MOST} projects."})
    row, is_new = JobTokenAllowance.objects.get_or_create(project=project, source=source)
    if is_new:
        record("job_allowance.add", by=by, target=project, source=source.full_path)
    return row


@transaction.atomic
def remove(by: Person, project: Project, source_id: int) -> None:
    """Let them pull no longer. Raises `NotFound` where they did not."""
    require_in_project(by, project, Ability.MANAGE_RUNNERS)
    row = JobTokenAllowance.objects.filter(project=project, source_id=source_id)
    found = row.select_related("source").first()
    if found is None:
        raise NotFound("not allowed")
    record("job_allowance.remove", by=by, target=project, source=found.source.full_path)
    found.delete()
