"""Comparing two images by tag or digest, of one repository or of two. `reader` is who asks.

Refusals: `NotFound`, `Invalid` by argument; of the registry `RegistryUnavailable`,
`RegistryRefused`.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gitlab.container_registry import repositories, tags
from gitlab.container_registry.client import chosen as clients
from gitlab.container_registry.client.overview import Overview
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import Part, StoredManifest
from gitlab.container_registry.comparison import differences, packages
from gitlab.container_registry.comparison.differences import Field, Layers
from gitlab.container_registry.comparison.packages import Packages
from gitlab.container_registry.contents import inside, manifest, reading
from gitlab.container_registry.contents.image_config import ImageConfig
from gitlab.container_registry.contents.manifest import SUBJECT_OF_ATTESTATION, Manifest
from gitlab.container_registry.contents.sbom import Sbom
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces.loaders import no_project
from gitlab.principals import Anybody
from gitlab.refusals import Invalid, NotFound

MAX_LAYERS = 500
"""Layers of an image that are compared. Clients take no image with more than 127."""

MAX_PLATFORMS = 100


@dataclass(frozen=True)
class Side:
    """One of two images. `reference` is what was asked for, `digest` the image that it leads to.

    `platforms` are those of an index, and `platform` the one that was chosen; `trouble` says why
    there is no configuration.
    """

    repository: ContainerRepository
    reference: str
    digest: str
    document: Manifest = field(repr=False)
    layers: Sequence[Part] = field(default=(), repr=False)
    config: ImageConfig | None = field(default=None, repr=False)
    trouble: str = ""
    platforms: Sequence[str] = ()
    platform: str = ""
    sbom: Sbom | None = field(default=None, repr=False)

    @property
    def size_bytes(self) -> int:
        """Bytes of the configuration and of each layer once."""
        config = [self.document.config.part] if self.document.config else []
        return sum({part.digest: part.size_bytes for part in (*config, *self.layers)}.values())


@dataclass(frozen=True)
class Comparison:
    """How two images differ."""

    before: Side
    after: Side
    layers: Layers
    config: Sequence[Field]
    environment: Sequence[Field]
    labels: Sequence[Field]
    packages: Packages | None = None
    """None where not both have an SBOM."""
    is_cut: bool = False

    @property
    def is_same(self) -> bool:
        """Whether both are one image."""
        return self.before.digest == self.after.digest


def other_repository(
    reader: Anybody, repository: ContainerRepository, path: str
) -> ContainerRepository:
    """The image of a path, for somebody who may read it; "" is `repository`. Raises `NotFound`."""
    if not path or path == repository.path:
        return repository
    row = ContainerRepository.objects.filter(path=path.lower()).values_list("pk", flat=True).first()
    if row is None:
        raise no_project(reader)
    return repositories.get_container_repository_for(reader, row)


def compare(
    before: tuple[ContainerRepository, str],
    after: tuple[ContainerRepository, str],
    *,
    platform: str = "",
    registry: Registry | None = None,
) -> Comparison:
    """How the image `after` differs from `before`, each a repository and a tag or digest.

    Of indexes the images for `platform` are compared, without one the first that both have. Whoever
    asks may read both: that is the caller's to see to. Raises `NotFound` for ``before``, ``after``.
    """
    registry = registry or clients.for_pages()
    known = registry
    with ThreadPoolExecutor(2) as pool:
        asked = [
            pool.submit(_found, known, row.path, reference) for row, reference in (before, after)
        ]
        old, new = (answer.result() for answer in asked)
        wanted = platform or _common_platform(old.stored, new.stored)
        sides = [
            pool.submit(_side, known, row, reference, found, wanted)
            for (row, reference), found in ((before, old), (after, new))
        ]
        one, other = (side.result() for side in sides)
    return Comparison(
        one,
        other,
        differences.of_layers(one.layers, other.layers),
        differences.of_configs(one.config, other.config),
        differences.of_environments(one.config, other.config),
        differences.of_labels(one.config, other.config),
        packages=packages.compare(one.sbom, other.sbom) if one.sbom and other.sbom else None,
        is_cut=differences.is_cut(one.config, other.config),
    )


@dataclass(frozen=True)
class _Found:
    """A manifest, and what our registry has said of it; None of one that is not ours."""

    digest: str
    stored: StoredManifest
    overview: Overview | None


def _found(registry: Registry, path: str, reference: str) -> _Found:
    """A manifest by tag or digest. Raises `NotFound`."""
    if registry.own is None:
        return _found_elsewhere(registry, path, reference)
    overview = None
    if tags.is_digest(reference):
        overview = registry.own.overview(path, digest=reference)
    elif tags.is_name(reference):
        overview = registry.own.overview(path, tag=reference)
    if overview is None or not overview.digest:
        raise NotFound(f"no such image: {reference}")
    stored = reading.manifest(registry, path, overview.digest, is_here=True)
    if stored is None:
        raise NotFound(f"no such image: {reference}")
    return _Found(overview.digest, stored, overview)


def _found_elsewhere(registry: Registry, path: str, reference: str) -> _Found:
    digest = reference
    if not tags.is_digest(reference):
        known = registry.tag(path, reference) if tags.is_name(reference) else None
        digest = known.digest if known else ""
    stored = reading.manifest(registry, path, digest) if digest else None
    if stored is None:
        raise NotFound(f"no such image: {reference}")
    return _Found(digest, stored, None)


def _platforms(document: Manifest) -> dict[str, str]:
    """The images of an index: platform → digest."""
    found: dict[str, str] = {}
    for each in document.manifests(0, MAX_PLATFORMS):
        if each.part.platform is not None and not each.part.is_attestation:
            found.setdefault(str(each.part.platform), each.part.digest)
    return found


def _common_platform(one: StoredManifest, other: StoredManifest) -> str:
    """The first platform of two indexes that both have, "" where there is none."""
    known = [_platforms(manifest.read(stored)) for stored in (one, other)]
    if not all(known):
        return ""
    return next((name for name in known[0] if name in known[1]), "")


def _side(
    registry: Registry,
    repository: ContainerRepository,
    reference: str,
    found: _Found,
    wanted: str,
) -> Side:
    digest, document = found.digest, manifest.read(found.stored)
    platforms = _platforms(document) if document.is_index else {}
    chosen = ""
    about: list[str] = []
    if document.is_index:
        chosen = wanted if wanted in platforms else next(iter(platforms), "")
        if not chosen:
            raise Invalid({"platform": f"{reference} is an index without platforms."})
        digest = platforms[chosen]
        about = [
            each.part.digest
            for each in document.manifests(0, MAX_PLATFORMS)
            if each.annotation(SUBJECT_OF_ATTESTATION) == digest
        ]
        try:
            found = _found(registry, repository.path, digest)
        except NotFound as error:
            raise NotFound(f"{chosen} of {reference} is not here") from error
        document = manifest.read(found.stored)
    has_config = found.overview is not None and found.overview.has_config
    config, trouble = (
        inside.configuration(registry, repository.path, document, is_here=has_config)
        if document.is_image
        else (None, "It is no image.")
    )
    return Side(
        repository,
        reference,
        digest,
        document,
        layers=[each.part for each in document.layers(0, MAX_LAYERS)],
        config=config,
        trouble=trouble,
        platforms=list(platforms),
        platform=chosen,
        sbom=packages.sbom_of(registry, repository.path, digest, about, found.overview),
    )
