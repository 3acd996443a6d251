"""What a project or group holds to check signatures by, keys as well as identities: the rows of one
of the two tables, with whose they are.
"""

from __future__ import annotations

from typing import TypeVar

from django.db import models
from django.db.models import Q, QuerySet

from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.paths import prefixes

AT_MOST = 100
"""Of a project and of all groups above: twenty at each of five levels."""

Row = TypeVar("Row", bound=models.Model)


def where(owner: Routable) -> dict[str, Routable]:
    """The columns of what a project or group holds."""
    return {"project" if isinstance(owner, Project) else "namespace": owner}


def own(table: type[Row], owner: Routable) -> QuerySet[Row]:
    """Those of a project or group itself, in the order in which they were added."""
    return _rows(table, Q(**where(owner)))


def holding(table: type[Row], owner: Routable) -> QuerySet[Row]:
    """Those of a project or group and of the groups above it."""
    namespace = owner.namespace.full_path if isinstance(owner, Project) else owner.full_path
    found = Q(namespace__full_path__in=prefixes(namespace))
    if isinstance(owner, Project):
        found |= Q(project=owner)
    return _rows(table, found)


def above(table: type[Row], owner: Routable) -> QuerySet[Row]:
    """Those of the groups above, which hold here too."""
    found = holding(table, owner)
    if isinstance(owner, Project):
        return found.filter(project=None)
    return found.exclude(namespace=owner)


def _rows(table: type[Row], found: Q) -> QuerySet[Row]:
    rows = table._default_manager.filter(found)  # noqa: SLF001 - what Django offers for any table
    return rows.select_related("project", "namespace", "created_by").order_by("pk")
