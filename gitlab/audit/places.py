"""Where an event is shown: at its project, at its group or namespace, at the person it is about.

The rooms whose rows these are stand higher up. A row says by the names of its columns where it
belongs: `project`, `namespace`, `user`.
"""

from __future__ import annotations

from typing import NamedTuple

from django.db.models import Model


class Place(NamedTuple):
    """The ids of the rows at whose pages an event is shown; None for those at none."""

    project: int | None = None
    namespace: int | None = None
    person: int | None = None


def kind_of(target: Model) -> str:
    """The model's name as it is kept: ``project``, ``containerrepository``."""
    return type(target).__name__.lower()


def place_of(target: Model) -> Place:
    """That of what happens to `target`. What is in a project is in the project's namespace too."""
    kind = kind_of(target)
    if kind == "project":
        return Place(target.pk, getattr(target, "namespace_id", None))
    if kind == "namespace":
        return Place(None, target.pk, getattr(target, "owner_id", None))
    if kind == "user":
        return Place(person=target.pk)
    project_id, namespace_id = (
        getattr(target, f"{name}_id", None) for name in ("project", "namespace")
    )
    if project_id is not None and namespace_id is None:
        namespace_id = getattr(getattr(target, "project", None), "namespace_id", None)
    return Place(project_id, namespace_id, getattr(target, "user_id", None))
