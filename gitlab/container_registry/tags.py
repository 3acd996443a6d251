"""The rules about an image's tags: listed, described, deleted. `by` is who does it.

Refusals: `NotFound`, `Forbidden`, `Conflict`, `Invalid`; of the registry `RegistryUnavailable`,
`RegistryRefused`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from gitlab.audit.services import record
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import Freed, Interval, Part, TagDetails, TagsPage
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.policies import Ability
from gitlab.principals import Person
from gitlab.refusals import Conflict, Invalid, NotFound

SHOWN_HISTORY = 50
MAX_TAGS_AT_ONCE = 100


@dataclass(frozen=True)
class Described:
    """A tag. `details` is None where it has been deleted; `history` has the latest first.

    `platforms` are an index's manifests, `attestations` what is in it besides, `layers` an image's.
    """

    name: str
    details: TagDetails | None
    history: Sequence[Interval]
    platforms: list[Part] = field(default_factory=list)
    attestations: list[Part] = field(default_factory=list)
    layers: list[Part] = field(default_factory=list)


def describe(
    repository: ContainerRepository, tag: str, *, registry: Registry | None = None
) -> Described:
    """A tag that is there, or was. Raises `NotFound` for one that never was."""
    registry = registry or clients.for_pages()
    details = registry.tag(repository.path, tag)
    own = registry.own
    history = own.history(repository.path, tag, n=SHOWN_HISTORY) if own else []
    if details is None:
        if not history:
            raise NotFound("no such tag")
        return Described(tag, None, history)
    manifest = registry.manifest(repository.path, details.digest)
    if manifest is None:
        return Described(tag, details, history)
    children = manifest.parts("manifests")
    return Described(
        tag,
        details,
        history,
        platforms=[part for part in children if not part.is_attestation],
        attestations=[part for part in children if part.is_attestation],
        layers=manifest.parts("layers"),
    )


def tags_of(
    repository: ContainerRepository,
    *,
    n: int = 20,
    last: str = "",
    before: str = "",
    name: str = "",
    sort: str = "",
    registry: Registry | None = None,
) -> TagsPage:
    """A page of an image's tags, as `Registry.tags` describes."""
    registry = registry or clients.for_pages()
    return registry.tags(repository.path, n=n, last=last, before=before, name=name, sort=sort)


def freed_by(
    repository: ContainerRepository,
    tags: Sequence[str] = (),
    *,
    registry: Registry | None = None,
) -> Freed | None:
    """What deleting these tags, or without any the whole image, would free.

    None where the registry can't tell.
    """
    own = (registry or clients.for_pages()).own
    return own.freed(repository.path, tags) if own else None


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

    One tag needs `Ability.DELETE_TAG`, several need `Ability.ADMIN_IMAGE`, as in GitLab. What was
    deleted before the registry failed is recorded all the same. Raises `Forbidden`, `Conflict`
    while the image is being deleted, `Invalid` for ``tags``, `RegistryUnavailable`.
    """
    names = list(dict.fromkeys(tags))
    if not names or len(names) > MAX_TAGS_AT_ONCE:
        raise Invalid({"tags": f"Choose 1 to {MAX_TAGS_AT_ONCE} tags."})
    several = len(names) > 1
    require_in_project(
        by, repository.project, Ability.ADMIN_IMAGE if several else Ability.DELETE_TAG
    )
    if repository.is_being_deleted:
        raise Conflict({"__all__": "The image is being deleted with all its tags."})
    outcome = Deleted()
    delete = functools.partial((registry or clients.for_pages()).delete_tag, by=by.username)
    try:
        for tag in names:
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
