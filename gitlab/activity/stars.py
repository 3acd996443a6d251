"""Favourites are added and taken away. `by` is whose they are.

Refusals: `NotFound`, `Conflict`.
"""

from __future__ import annotations

from gitlab.activity.models import Star
from gitlab.namespaces import queries
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.models import Project
from gitlab.namespaces.policies import Ability
from gitlab.principals import Anybody, Person, somebody
from gitlab.refusals import Conflict

MOST = 100
"""Favourites of one person: more are none."""


def star(by: Person, project: Project) -> None:
    """Add a project that they may see. Twice is once. Raises `Conflict` for one too many."""
    require_in_project(by, project, Ability.READ_PROJECT)
    mine = Star.objects.filter(user_id=by.pk)
    if mine.filter(project=project).exists():
        return
    if mine.count() >= MOST:
        raise Conflict({"__all__": f"You have {MOST} favourites: take one away first."})
    Star.objects.bulk_create([Star(user_id=by.pk, project=project)], ignore_conflicts=True)


def unstar(by: Person, project: Project) -> None:
    """Take one away. Twice is once."""
    Star.objects.filter(user_id=by.pk, project=project).delete()


def is_starred(reader: Anybody, project: Project) -> bool:
    """Whether a project is one of somebody's favourites."""
    person = somebody(reader)
    return person is not None and Star.objects.filter(user_id=person.pk, project=project).exists()


def of(by: Person, limit: int) -> list[Project]:
    """Favourites that they may (still) see, the first by path. One query."""
    mine = Star.objects.filter(user_id=by.pk).values("project")
    rows = queries.projects_visible_to(by).filter(pk__in=mine)
    return list(rows[:limit])
