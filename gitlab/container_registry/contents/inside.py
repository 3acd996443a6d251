"""What is inside of a manifest, for the page of a tag and the page of a digest.

A page of a hundred of an index's platforms, or of the steps of an image's history, whatever there
is in all. `registry` is asked with a token for the one image.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gitlab.container_registry.client.overview import Overview
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import (
    ManifestDetails,
    Part,
    SharedBlob,
    StoredManifest,
)
from gitlab.container_registry.contents import helm, image_config, manifest, reading
from gitlab.container_registry.contents.helm import Chart
from gitlab.container_registry.contents.image_config import MAX_CONFIG, ImageConfig, Step
from gitlab.container_registry.contents.manifest import (
    SUBJECT_OF_ATTESTATION,
    Descriptor,
    Manifest,
)

SHOWN = 100
"""Platforms, or steps of a history, on a page."""


@dataclass(frozen=True)
class Built:
    """A step of the build on a page: what share of the image's bytes it left, in per cent, and
    which other images of the project have its layer, if that is known.
    """

    step: Step
    share: float
    shared: SharedBlob | None = None


@dataclass(frozen=True)
class OnPlatform:
    """A manifest of an index; `details` is None where it is not here, or nobody knows."""

    part: Part
    details: ManifestDetails | None = None


@dataclass(frozen=True)
class Inside:
    """What a page shows of a manifest.

    `config` is None where there is none, or none that can be read: `trouble` says why. `size_bytes`
    counts each blob once. `after` is how many platforms or steps stand on pages before, `total` how
    many there are. `about` is the digest of what BuildKit's attestation in an index is about.
    """

    digest: str
    manifest: Manifest
    size_bytes: int | None = None
    config: ImageConfig | None = None
    trouble: str = ""
    built: Sequence[Built] = ()
    platforms: Sequence[OnPlatform] = ()
    attestations: Sequence[Descriptor] = ()
    files: Sequence[Descriptor] = ()
    chart: Chart | None = None
    after: int = 0
    total: int = 0
    layers_count: int = 0

    @property
    def next_after(self) -> int:
        """What to go on after, 0 at the end."""
        return self.after + SHOWN if self.after + SHOWN < self.total else 0

    @property
    def previous_after(self) -> int | None:
        """What stands before this page, None at the beginning."""
        return max(0, self.after - SHOWN) if self.after else None


def look(
    registry: Registry,
    path: str,
    digest: str,
    stored: StoredManifest,
    *,
    after: int = 0,
    seen: Sequence[str] = (),
    overview: Overview | None = None,
) -> Inside:
    """What is inside of a manifest that an image has, from the platform or step `after` on.

    `seen` are the images of which a page may tell that they have a layer too, as in `Registry`.
    What the registry has said of it in an `overview` for these images is not asked again. Raises
    `RegistryUnavailable`, `RegistryRefused`.
    """
    found = manifest.read(stored)
    if found.is_index:
        return _index(registry, path, digest, found, after, overview)
    if found.is_image:
        return _image(registry, path, digest, found, after, seen, overview)
    return _artifact(registry, path, digest, found, overview)


def _artifact(
    registry: Registry, path: str, digest: str, found: Manifest, overview: Overview | None
) -> Inside:
    layers = found.layers(0, SHOWN)
    config = [found.config.part] if found.config else []
    parts = [*config, *(each.part for each in found.layers())]
    return Inside(
        digest,
        found,
        size_bytes=_size(parts),
        files=layers,
        chart=_chart(registry, path, found, layers, overview),
        total=len(found.layered),
        layers_count=len(found.layered),
    )


def _chart(
    registry: Registry,
    path: str,
    found: Manifest,
    layers: Sequence[Descriptor],
    overview: Overview | None,
) -> Chart | None:
    """The Helm chart that a manifest is, None where it is none."""
    if found.config is None or found.config.part.media_type != helm.CONFIG:
        return None
    said = reading.blob(
        registry,
        path,
        found.config.part.digest,
        max_bytes=MAX_CONFIG,
        is_here=overview is not None and overview.has_config,
    )
    content = next((each.part for each in layers if each.part.media_type == helm.CONTENT), None)
    packed = None
    if content is not None and content.size_bytes <= helm.MAX_PACKED:
        packed = reading.blob(registry, path, content.digest, max_bytes=helm.MAX_PACKED)
    return helm.read(said or b"", helm.files_in(packed) if packed else {})


def _size(parts: Sequence[Part]) -> int:
    return sum({part.digest: part.size_bytes for part in parts}.values())


def _index(
    registry: Registry,
    path: str,
    digest: str,
    found: Manifest,
    after: int,
    overview: Overview | None,
) -> Inside:
    """An index: platforms first, in their order, with what the registry knows of each."""
    listed = found.manifests()
    about = [each for each in listed if _is_attestation(each)]
    platforms = [each for each in listed if not _is_attestation(each)]
    page = platforms[after : after + SHOWN]
    if overview is not None and overview.is_whole:
        details = overview.manifests
    else:
        asked = dict.fromkeys((digest, *(each.part.digest for each in page)))
        details = registry.manifest_details(path, list(asked))
    return Inside(
        digest,
        found,
        size_bytes=details[digest].size_bytes if digest in details else None,
        platforms=[OnPlatform(each.part, details.get(each.part.digest)) for each in page],
        attestations=about,
        after=after,
        total=len(platforms),
    )


def _is_attestation(each: Descriptor) -> bool:
    return each.part.is_attestation or SUBJECT_OF_ATTESTATION in each.annotations


def _image(
    registry: Registry,
    path: str,
    digest: str,
    found: Manifest,
    after: int,
    seen: Sequence[str],
    overview: Overview | None,
) -> Inside:
    """An image: its configuration, and the steps of its build joined with its layers."""
    layers = [each.part for each in found.layers()]
    has_config = overview is not None and overview.has_config
    config, trouble = configuration(registry, path, found, is_here=has_config)
    steps = image_config.steps(config, layers)
    page = steps[after : after + SHOWN]
    whole = _size(layers)
    here = list(dict.fromkeys(step.layer.digest for step in page if step.layer))[:SHOWN]
    if overview is not None and overview.is_whole:
        shared = overview.shared_blobs
    else:
        shared = registry.own.shared_blobs(path, here, seen=seen) if here and registry.own else None
    return Inside(
        digest,
        found,
        size_bytes=_size([*([found.config.part] if found.config else []), *layers]),
        config=config,
        trouble=trouble,
        built=[_built(step, whole, shared or {}) for step in page],
        after=after,
        total=len(steps),
        layers_count=len(layers),
    )


def _built(step: Step, whole: int, shared: Mapping[str, SharedBlob]) -> Built:
    if step.layer is None:
        return Built(step, 0.0)
    share = 100 * step.layer.size_bytes / whole if whole else 0.0
    return Built(step, share, shared.get(step.layer.digest))


def configuration(
    registry: Registry, path: str, found: Manifest, *, is_here: bool = False
) -> tuple[ImageConfig | None, str]:
    """An image's configuration, or why there is none to be shown.

    `is_here`: the registry has just said that the image may serve it.
    """
    if found.config is None:
        return None, "The manifest names no configuration."
    if found.config.part.size_bytes > MAX_CONFIG:
        return None, "The configuration is too large to be shown."
    payload = reading.blob(
        registry, path, found.config.part.digest, max_bytes=MAX_CONFIG, is_here=is_here
    )
    if payload is None:
        return None, "The registry does not have the configuration."
    config = image_config.read(payload)
    return config, "" if config else "The configuration is not what an image has."
