"""The rules about an image's tags: listed, described, deleted. `by` is who does it.

Refusals: `NotFound`, `Forbidden`, `Conflict`, `Invalid`; of the registry `RegistryUnavailable`,
`RegistryRefused`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

from gitlab.audit.services import record
from gitlab.container_registry import pulls
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.connection import RegistryRefused
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import (
    Freed,
    Interval,
    Part,
    StoredManifest,
    TagDetails,
    TagsPage,
)
from gitlab.container_registry.models import ContainerRepository
from gitlab.container_registry.protection import guard
from gitlab.namespaces import user_access
from gitlab.namespaces.loaders import require_in_project
from gitlab.namespaces.models import AccessLevel, Namespace, Project
from gitlab.namespaces.policies import Ability
from gitlab.principals import Anybody, Person
from gitlab.refusals import Conflict, Invalid, NotFound

SHOWN_HISTORY = 50
SHOWN_PARTS = 100
"""Platforms or layers on the page of a tag. Clients take no image with more layers than 127."""
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
    """A tag. `details` is None where it has been deleted; `history` has the latest first.

    `older` is the interval behind which there is more history, 0 where there is none.
    `platforms` are an index's manifests, `layers` an image's, `SHOWN_PARTS` of each at most;
    `more_platforms` and `more_layers` say how many more there are, `attestations` how many
    statements about the platforms. `pulls` are those of the manifest, None where none are counted.
    """

    name: str
    details: TagDetails | None
    history: Sequence[Interval]
    older: int = 0
    platforms: list[Part] = field(default_factory=list)
    layers: list[Part] = field(default_factory=list)
    attestations: int = 0
    more_platforms: int = 0
    more_layers: int = 0
    pulls: pulls.Shown | None = None


def describe(
    repository: ContainerRepository,
    tag: str,
    *,
    behind: int = 0,
    registry: Registry | None = None,
) -> Described:
    """A tag that is there, or was, with its history behind the interval `behind`, 0 for the start.

    Raises `NotFound` for one that never was.
    """
    registry = registry or clients.for_pages()
    details = registry.tag(repository.path, tag)
    own = registry.own
    n = SHOWN_HISTORY + 1
    history = own.history(repository.path, tag, n=n, last=behind) if own else []
    if details is None and not history:
        raise NotFound("no such tag")
    found = Described(
        tag,
        details,
        history[:SHOWN_HISTORY],
        older=history[SHOWN_HISTORY - 1].id if len(history) > SHOWN_HISTORY else 0,
        pulls=pulls.of_tag(repository.path, details, own) if details else None,
    )
    manifest = registry.manifest(repository.path, details.digest) if details else None
    return found if manifest is None else _with_parts(found, manifest)


def _with_parts(found: Described, manifest: StoredManifest) -> Described:
    children, layers = manifest.parts("manifests"), manifest.parts("layers")
    platforms = [part for part in children if not part.is_attestation]
    return replace(
        found,
        platforms=platforms[:SHOWN_PARTS],
        layers=layers[:SHOWN_PARTS],
        attestations=len(children) - len(platforms),
        more_platforms=len(platforms[SHOWN_PARTS:]),
        more_layers=len(layers[SHOWN_PARTS:]),
    )


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
    registry: Registry | None = None,
) -> TagsPage:
    """A page of an image's tags, as `Registry.tags` describes."""
    registry = registry or clients.for_pages()
    return registry.tags(
        repository.path,
        n=n,
        last=last,
        before=before,
        name=name,
        sort=sort,
        pattern=pattern,
        platform=platform,
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
