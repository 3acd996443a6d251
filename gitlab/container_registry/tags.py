"""The rules about an image's tags: listed, described, deleted. `by` is who does it.

Refusals: `NotFound`, `Forbidden`, `Conflict`, `Invalid`; of the registry `RegistryUnavailable`,
`RegistryRefused`.
"""

from __future__ import annotations

import datetime as dt
import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gitlab.audit.services import record
from gitlab.container_registry import pulls, timeline
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused
from gitlab.container_registry.client.overview import Overview
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import (
    Freed,
    StoredManifest,
    TagDetails,
    TagsPage,
)
from gitlab.container_registry.contents import reading
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.protection import guard
from gitlab.container_registry.timeline import Timeline
from gitlab.namespaces import user_access
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.models import AccessLevel, Namespace, Project
from gitlab.namespaces.policies import Ability
from gitlab.principals import Anybody, Person
from gitlab.refusals import Conflict, Invalid, NotFound

MAX_TAGS_AT_ONCE = 100

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}", re.ASCII)
"""Source: OCI distribution specification 1.1, "Pulling manifests"."""


_DIGEST = re.compile(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}", re.ASCII)
"""Source: OCI image specification 1.1, "Registered Algorithms"."""


def is_digest(text: str) -> bool:
    """Whether a digest may be written so."""
    return _DIGEST.fullmatch(text) is not None


def is_name(text: str) -> bool:
    """Whether a tag may be called so."""
    return _NAME.fullmatch(text) is not None


@dataclass(frozen=True)
class Described:
    """A tag. `details` is None where it has been deleted; `past` is its history, or a part of it.

    `manifest` is what it points at, None where that could not be had. `pulls` are those of the
    manifest, None where none are counted. `overview` is all that our registry has said.
    """

    name: str
    details: TagDetails | None
    past: Timeline = field(default_factory=Timeline)
    manifest: StoredManifest | None = None
    pulls: pulls.Shown | None = None
    overview: Overview | None = field(default=None, repr=False)


def describe(
    repository: ContainerRepository,
    tag: str,
    *,
    behind: int = 0,
    day: dt.date | None = None,
    registry: Registry | None = None,
) -> Described:
    """A tag that is there, or was, with its history: see `timeline.of`.

    Raises `NotFound` for one that never was.
    """
    registry = registry or clients.for_pages()
    path, own = repository.path, registry.own
    if own is None:
        details = registry.tag(path, tag)
        if details is None:
            raise NotFound("no such tag")
        manifest = reading.manifest(registry, path, details.digest, is_here=True)
        return Described(tag, details, manifest=manifest)
    found = own.overview(
        path,
        tag=tag,
        history=timeline.part(behind, day),
        days=pulls.DAYS,
        seen=seen_with(repository.project),
    )
    if found is None:
        raise NotFound("no such image")
    known = found.manifests
    if not found.is_whole and found.history:
        # Of what does not fit in the answer the rest is asked for.
        known = own.manifest_details(path, [past.digest for past in found.history])
    past = timeline.of(found.history, known, behind=behind, day=day)
    if found.tag is None:
        if not past.shown and not own.history(path, tag, n=1):
            raise NotFound("no such tag")
        return Described(tag, None, past, overview=found)
    return Described(
        tag,
        found.tag,
        past,
        # The registry has just said that the image has it.
        reading.manifest(registry, path, found.tag.digest, is_here=True),
        pulls.of_tag(found.tag, found.pulls),
        found,
    )


def seen_with(project: Project) -> list[str]:
    """The images of a project, as the registry is asked which of them have something too."""
    return [project.full_path, f"{project.full_path}/*"]


def tags_of(  # noqa: PLR0913  (each is a parameter of the list)
    repository: ContainerRepository,
    *,
    n: int = 20,
    last: str = "",
    before: str = "",
    name: str = "",
    sort: str = "",
    pattern: str = "",
    platform: str = "",
    signed: bool | None = None,
    signatures: bool = True,
    belongings: bool = False,
    registry: Registry | None = None,
) -> TagsPage:
    """A page of an image's tags, as `Registry.tags` describes."""
    return (registry or clients.for_pages()).tags(
        repository.path,
        n=n,
        last=last,
        before=before,
        name=name,
        sort=sort,
        signatures=signatures,
        belongings=belongings,
        pattern=pattern,
        platform=platform,
        signed=signed,
    )


def freed_by(
    reader: Anybody,
    repository: ContainerRepository,
    tags: Sequence[str] = (),
    *,
    registry: Registry | None = None,
) -> Freed | None:
    """What deleting these tags, or without any the whole image, would free, for `reader` to see.

    They are told of images that they may pull: those of the project, in which they may delete, and
    those of the namespace at the top where they are a member who may. Whether anything else has the
    same bytes is not theirs to know. None where the registry can't tell.
    """
    own = (registry or clients.for_pages()).own
    if own is None:
        return None
    return own.freed(repository.path, tags, seen=_seen(reader, repository.project))


def _seen(reader: Anybody, project: Project) -> list[str]:
    """Which images somebody may pull who may delete some of a project's."""
    seen = [project.full_path, f"{project.full_path}/*"]
    top = project.full_path.partition("/")[0]
    namespace = Namespace.objects.filter(full_path=top).first()
    if namespace is not None:
        access = user_access.in_namespace(reader, namespace)
        if access.admin or access.level >= AccessLevel.REPORTER:
            seen.append(f"{top}/*")
    return seen


@dataclass(frozen=True)
class Deleted:
    """What came of deleting tags: those removed, those gone already, those refused with why."""

    deleted: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)


def delete_tags(
    by: Person,
    repository: ContainerRepository,
    tags: Iterable[str],
    *,
    registry: Registry | None = None,
) -> Deleted:
    """Delete some tags now. The images behind them stay for whoever knows their digest.

    Each needs `Ability.DELETE_TAG`, as in GitLab's pages. Of several those that a rule protects are
    refused, and the rest goes. What was deleted before the registry
    failed is recorded all the same. Raises `Forbidden`, also for one tag that a rule protects,
    `Conflict` while the image is being deleted, `Invalid` for ``tags``, `RegistryUnavailable`.
    """
    names = list(dict.fromkeys(tags))
    if not names or len(names) > MAX_TAGS_AT_ONCE:
        raise Invalid({"tags": f"Choose 1 to {MAX_TAGS_AT_ONCE} tags."})
    several = len(names) > 1
    require_in_project(by, repository.project, Ability.DELETE_TAG)
    if repository.is_being_deleted:
        raise Conflict({"__all__": "The image is being deleted with all its tags."})
    guard.require_image(by, repository.project, repository.path, "delete")
    standing = guard.Standing(by, repository.project)
    outcome = Deleted()
    delete = functools.partial((registry or clients.for_pages()).delete_tag, by=by.username)
    try:
        for tag in names:
            why = standing.why_not(tag, "delete")
            if why and several:
                outcome.refused[tag] = why
                continue
            guard.refuse(why)
            _delete_tag(delete, repository.path, tag, outcome)
    finally:
        if outcome.deleted:
            record("tag.delete", by=by, target=repository, tags=outcome.deleted)
    return outcome


def _delete_tag(delete: Callable[[str, str], bool], path: str, tag: str, outcome: Deleted) -> None:
    try:
        (outcome.deleted if delete(path, tag) else outcome.missing).append(tag)
    except RegistryRefused as error:
        outcome.refused[tag] = str(error)
