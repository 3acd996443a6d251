"""What a text names, for somebody to see: groups, projects, images, people, tags, digests.

Names of the former are looked for anywhere in their paths, in tables of some ten thousand rows that
are read within milliseconds. Tags and digests, of which there are millions, are the registry's: it
is asked for what begins with the text in the images that were pushed last, `IMAGES` at most, that
the reader may pull. A token of GitLab's own lets it answer that and nothing else (decision 27).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.db.models import Case, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce

from gitlab import principals
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused, RegistryUnavailable
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import FoundTag
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import queries
from gitlab.namespaces.models import Namespace, Project
from gitlab.principals import Anybody, Person

SHOWN = 8
"""Of each kind."""

SHORTEST = 2
LONGEST = 200
IMAGES = 1000
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{12,64})", re.ASCII)


@dataclass(frozen=True)
class Hit:
    """A tag of an image, or where `tag` is "" a manifest."""

    image: ContainerRepository
    tag: str
    digest: str


@dataclass(frozen=True)
class Results:
    """What was found, `SHOWN` of each kind. `trouble`: why tags and digests are missing."""

    groups: Sequence[Namespace] = ()
    projects: Sequence[Project] = ()
    images: Sequence[ContainerRepository] = ()
    tags: Sequence[Hit] = ()
    digests: Sequence[Hit] = ()
    people: Sequence[Person] = field(default_factory=list)
    trouble: str = ""

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing."""
        return not any(
            (self.groups, self.projects, self.images, self.tags, self.digests, self.people)
        )


def search(user: Anybody, text: str, *, registry: Registry | None = None) -> Results:
    """What a text names. ``image:tag`` looks for the tag in images of that name."""
    text = text.replace("\0", "").strip()[:LONGEST]
    if len(text) < SHORTEST:
        return Results()
    name, colon, tag = text.lower().partition(":")
    is_digest = _DIGEST.fullmatch(text.lower()) is not None
    if is_digest or not colon:
        name, tag = ("", text) if is_digest and colon else (text.lower(), text)
    else:
        tag = text[len(name) + 1 :]
    readable = _readable(user)
    tags, digests, trouble = _in_the_registry(
        readable, name if colon and not is_digest else "", tag, registry
    )
    if not name:
        return Results(tags=tags, digests=digests, trouble=trouble)
    return Results(
        groups=list(_best(queries.groups_visible_to(user, search=name), name)[:SHOWN]),
        projects=list(_best(queries.projects_visible_to(user, search=name), name)[:SHOWN]),
        images=list(_by_push(readable.filter(path__contains=name))[:SHOWN]),
        tags=tags,
        digests=digests,
        people=_people(user, name),
        trouble=trouble,
    )


def _best(rows: QuerySet[Any], name: str) -> QuerySet[Any]:
    """Those that are called so first, then those that begin so, then the others, by path."""
    last = name.rpartition("/")[2]
    place = Case(
        When(Q(full_path=name) | Q(path=last), then=Value(0)),
        When(path__startswith=last, then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    return rows.order_by(place, "full_path")


def _readable(user: Anybody) -> QuerySet[ContainerRepository]:
    projects = queries.projects_with_readable_images(user).order_by().values("pk")
    rows = ContainerRepository.objects.filter(project__in=projects)
    return rows.select_related("project__namespace")


def _by_push(rows: QuerySet[ContainerRepository]) -> QuerySet[ContainerRepository]:
    return rows.order_by(Coalesce("last_published_at", "created_at").desc(), "-id")


def _people(user: Anybody, name: str) -> list[Person]:
    """People by their names, for who may see others; by address for administrators."""
    somebody = principals.somebody(user)
    if somebody is None or somebody.external:
        return []
    name = name.removeprefix("@")
    wanted = Q(username__contains=name) | Q(name__icontains=name)
    if somebody.is_superuser:
        wanted |= Q(email__iexact=name)
    people = get_user_model().objects.filter(wanted, state="active", user_type="human")
    return list(people.order_by("username")[:SHOWN])


def _in_the_registry(
    readable: QuerySet[ContainerRepository], image: str, text: str, registry: Registry | None
) -> tuple[list[Hit], list[Hit], str]:
    """Tags and manifests that begin with the text, in the images of that name."""
    own = (registry or clients.for_pages()).own
    digest = _DIGEST.fullmatch(text.lower())
    if own is None or not (digest or _TAG.fullmatch(text)):
        return [], [], ""
    rows = readable.filter(path__contains=image) if image else readable
    # A thousand paths are asked about, and some rows are shown: no more are made.
    paths = list(_by_push(rows).values_list("path", flat=True)[:IMAGES])
    if not paths:
        return [], [], ""
    try:
        tags = own.search(paths, tag=text) if _TAG.fullmatch(text) else []
        digests = own.search(paths, digest=f"sha256:{digest[1]}") if digest else []
    except (RegistryUnavailable, RegistryRefused) as error:
        return [], [], str(error)
    return _hits(readable, tags), _hits(readable, digests), ""


def _hits(readable: QuerySet[ContainerRepository], found: Sequence[FoundTag]) -> list[Hit]:
    """What the registry has found, with its images, as far as these are readable."""
    images = {row.path: row for row in readable.filter(path__in={each.path for each in found})}
    hits = [Hit(images[each.path], each.tag, each.digest) for each in found if each.path in images]
    return hits[:SHOWN]
