"""Who reads why somebody was denied: they themselves, who maintains the project, administrators.

What is not there and what one may not see are the same `NotFound`, after the same questions.
"""

from __future__ import annotations

from django.db.models import QuerySet

from gitlab.audit.models import Denial
from gitlab.namespaces import loaders
from gitlab.namespaces.models import Namespace, Project
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Forbidden, NotFound

ORDER = ("-last_at", "-id")


def find_for(by: Person, reference: str) -> Denial:
    """A denial by its id, in any case. Raises `NotFound`."""
    found = Denial.objects.filter(
        reference=reference.replace("\0", "").strip().upper()[:16]
    ).first()
    # Of another where there is none, so that the time tells nothing.
    other = Denial.objects.order_by("-last_at", "-id").first()
    asked = found or other or Denial(project_pk=0)
    may_see = _looks_after(by, asked) or asked.person_pk == by.pk or by.is_superuser
    if found is None or not may_see:
        raise NotFound("There is no such denial, or you may not see it.")
    return found


def _looks_after(by: Person, denial: Denial) -> bool:
    """Whether they maintain the project; where there was none, whether they own the group."""
    try:
        if denial.project_pk is not None:
            loaders.get_project_for(by, denial.project_pk, Ability.ADMIN_PROJECT)
        else:
            loaders.get_namespace_for(by, denial.namespace_pk or 0, Ability.ADMIN_GROUP)
    except (NotFound, Forbidden):
        return False
    return True


def everywhere() -> QuerySet[Denial]:
    """All, for administrators."""
    return Denial.objects.all()


def of_person(by: Person) -> QuerySet[Denial]:
    """Those of oneself."""
    return Denial.objects.filter(person_pk=by.pk)


def in_project(project: Project) -> QuerySet[Denial]:
    """Those of everybody in a project, for somebody of whom it is known that they maintain it."""
    return Denial.objects.filter(project_pk=project.pk)


def in_group(group: Namespace) -> QuerySet[Denial]:
    """Those at a group itself, where there is no project (yet)."""
    return Denial.objects.filter(namespace_pk=group.pk, project_pk__isnull=True)
