"""What a page shows of one tag: where it points, what is in there, what it pointed at before.

Refusals: of the registry `RegistryUnavailable`, `RegistryRefused`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.berth import RegistryClient
from gitlab.container_registry.client.responses import Interval, Part, TagDetails
from gitlab.container_registry.models import ContainerRepository
from gitlab.refusals import NotFound

SHOWN_HISTORY = 50


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
    repository: ContainerRepository, tag: str, *, registry: RegistryClient | None = None
) -> Described:
    """A tag that is there, or was. Raises `NotFound` for one that never was."""
    registry = registry or clients.for_pages()
    details = registry.tag(repository.path, tag)
    history = registry.history(repository.path, tag, n=SHOWN_HISTORY)
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
