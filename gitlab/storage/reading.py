"""What the pages say of storage, from the rows that `measuring` has left: a few queries each.

Nobody is told here of what they may not see: whoever asks has been let look at the whole.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db.models import Count, Q, QuerySet, Sum
from django.utils import timezone

from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.models import (
    AccessLevel,
    Namespace,
    Project,
    RegistryAccess,
    Routable,
)
from gitlab.namespaces.roles import Roles
from gitlab.principals import Anybody, somebody
from gitlab.storage.models import Candidate, DailySize, Measure

Holder = Namespace | Project | ContainerRepository
"""What has parts: groups and projects, images, tags."""

LARGEST = 24
"""Parts that a drawing shows by themselves."""

GROWTH_DAYS = 90
CHEAPEST = 10


class Sight:
    """How far somebody sees around a project or namespace of which they may read what is used.

    `inside`: by what. Of a project whoever may push there; of a group its developers, who may push
    to all in it. `everything`: all that is below the namespace at the top. One query.
    """

    def __init__(self, reader: Anybody, owner: Routable) -> None:
        roles, person = Roles(reader), somebody(reader)
        is_admin = person is not None and person.is_superuser
        top = roles.groups.get(owner.full_path.partition("/")[0], 0)
        here = roles.level(owner)
        self.inside = is_admin or isinstance(owner, Project) or here >= AccessLevel.DEVELOPER
        self.everything = is_admin or top >= AccessLevel.REPORTER


def of(holder: Holder) -> Measure | None:
    """The latest measure, None where there is none yet."""
    where = {
        "namespace": holder if isinstance(holder, Namespace) else None,
        "project": holder if isinstance(holder, Project) else None,
        "repository": holder if isinstance(holder, ContainerRepository) else None,
    }
    known = {name: each for name, each in where.items() if each is not None}
    return Measure.objects.filter(measured_at__isnull=False, **known).first()


def parts_of(holder: Namespace | Project) -> QuerySet[Measure]:
    """The measures of what stands directly in a namespace or project, in no order."""
    rows = Measure.objects.filter(measured_at__isnull=False)
    if isinstance(holder, Project):
        return rows.filter(repository__in=holder.container_repositories.all())
    projects = holder.projects.filter(pending_delete_at=None)
    groups = holder.children.filter(pending_delete_at=None)
    return rows.filter(Q(project__in=projects.values("pk")) | Q(namespace__in=groups.values("pk")))


def with_names(rows: QuerySet[Measure]) -> QuerySet[Measure]:
    """The same with what they are of, in one query."""
    return rows.select_related("namespace", "project", "repository__project")


@dataclass(frozen=True)
class Tagged:
    """Tags of an image that point at the same: what that refers to, and what it holds alone."""

    names: Sequence[str]
    tags: int
    size_bytes: int
    alone_bytes: int


@dataclass(frozen=True)
class Division:
    """How what lies in something divides: of `count` parts the largest, the others, and what they
    share.
    """

    count: int = 0
    parts: Sequence[Measure] = field(default_factory=list)
    tags: Sequence[Tagged] = field(default_factory=list)
    others: int = 0
    others_bytes: int = 0
    shared_bytes: int = 0


def division_of(holder: Holder, measure: Measure) -> Division:
    """How what was measured divides, by what each part holds alone."""
    if isinstance(holder, ContainerRepository):
        tags = [Tagged(*share) for share in measure.shares]
        shown = [tag for tag in tags if tag.alone_bytes][:LARGEST]
        others = tags[len(shown) :]
        alone = sum(tag.alone_bytes for tag in tags)
        return Division(
            tags=shown,
            others=len(others),
            others_bytes=sum(tag.alone_bytes for tag in others),
            shared_bytes=max(0, measure.size_bytes - alone),
        )
    rows = parts_of(holder)
    whole = rows.aggregate(parts=Count("pk"), alone=Sum("alone_bytes"))
    largest = with_names(rows.filter(alone_bytes__gt=0)).order_by("-alone_bytes", "id")
    parts = list(largest[:LARGEST])
    alone = int(whole["alone"] or 0)
    return Division(
        count=int(whole["parts"]),
        parts=parts,
        others=int(whole["parts"]) - len(parts),
        others_bytes=alone - sum(part.alone_bytes for part in parts),
        shared_bytes=max(0, measure.size_bytes - alone),
    )


def growth_of(owner: Routable) -> list[DailySize]:
    """The days of the last `GROWTH_DAYS` that are known, the oldest first."""
    where = {"project" if isinstance(owner, Project) else "namespace": owner}
    since = timezone.now().date() - dt.timedelta(days=GROWTH_DAYS)
    return list(DailySize.objects.filter(day__gt=since, **where).order_by("day"))


@dataclass(frozen=True)
class Deletable:
    """A candidate, with what its deletion frees as far as the reader may see."""

    candidate: Candidate
    freed_bytes: int


def cheapest_in(sight: Sight, holder: Holder) -> list[Deletable]:
    """What could be deleted at and below something, what frees most first. One query."""
    rows = Candidate.objects.filter(
        repository__status=None, repository__project__pending_delete_at=None
    ).exclude(repository__project__registry_access=RegistryAccess.DISABLED)
    if isinstance(holder, ContainerRepository):
        rows = rows.filter(repository=holder)
    elif isinstance(holder, Project):
        rows = rows.filter(repository__project=holder)
    else:
        path = holder.full_path
        # "0" is the character after "/": a range of the index holds all paths below.
        rows = rows.filter(repository__path__gt=f"{path}/", repository__path__lt=f"{path}0")
    column = "freed_at_top_bytes" if sight.everything else "freed_bytes"
    found = rows.filter(**{f"{column}__gt": 0}).select_related("repository__project")
    return [
        Deletable(row, getattr(row, column))
        for row in found.order_by(f"-{column}", "id")[:CHEAPEST]
    ]
