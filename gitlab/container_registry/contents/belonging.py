"""What belongs to a manifest, as a tree: signatures, SBOMs, attestations, any artifact.

    the Referrers API      manifests that name it as their subject, and what names these
    cosign's tags          sha256-….sig, .att, .sbom: cosign before it knew the API
    an index               BuildKit's attestations, each about a platform of the index
    the tag sha256-…       where a registry has no such API (the specification's fallback)

Source: OCI distribution specification 1.1, "Listing Referrers", "Referrers Tag Schema". What is
found has an end in calls: the rest is counted, or said to be more.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from gitlab.container_registry.client.overview import Overview, Signature
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.client.responses import (
    MAX_TEXT,
    Referrer,
    ReferrersPage,
    StoredManifest,
)
from gitlab.container_registry.contents import manifest as manifests
from gitlab.container_registry.contents import reading
from gitlab.container_registry.contents.artifacts import Kind, kind_of
from gitlab.container_registry.contents.documents import shown
from gitlab.container_registry.contents.manifest import SUBJECT_OF_ATTESTATION, Descriptor

SHOWN = 50
"""Referrers that are told of a manifest."""

MAX_ASKED = 10
"""Referrers that are asked what refers to them in turn, and attestations that are read."""

_AT_ONCE = 4
_COSIGN_KINDS = ("sig", "att", "sbom")
_PREDICATES = ("in-toto.io/predicate-type", "predicateType", "dev.sigstore.bundle.predicateType")


@dataclass(frozen=True)
class Belonging:
    """Something that belongs to a manifest. `how` says by what it was found: ``referrer``, ``tag``
    (then `tag` is its name), ``index`` (then `about` is the platform that it is about).

    `files` are what it consists of, where it was read: each with its kind and its type.
    """

    digest: str
    kind: Kind
    type: str
    how: str = "referrer"
    size_bytes: int | None = None
    tag: str = ""
    about: str = ""
    files: Sequence[File] = ()
    belongings: Sequence[Belonging] = ()


@dataclass(frozen=True)
class File:
    """A part of something that belongs to a manifest: of a statement the type of its predicate."""

    digest: str
    kind: Kind
    type: str
    size_bytes: int


@dataclass(frozen=True)
class Belongings:
    """What belongs to a manifest; `has_more` where not all of it is told."""

    found: Sequence[Belonging] = ()
    has_more: bool = False
    digest: str = field(default="", repr=False)


def of(
    registry: Registry,
    path: str,
    digest: str,
    attestations: Sequence[Descriptor] = (),
    platforms: Mapping[str, str] | None = None,
    *,
    overview: Overview | None = None,
) -> Belongings:
    """What belongs to a manifest of an image.

    `attestations` are those that it lists itself, where it is an index, and `platforms` names the
    manifests that these may be about. What the registry has said of it in an `overview` is not
    asked again. Raises `RegistryUnavailable`, `RegistryRefused`.
    """
    told = overview or _asked(registry, path, digest)
    here = told.manifests if told.is_whole else {}
    listed = told.referrers.referrers
    found = [
        _of_referrer(each, [_of_referrer(one) for one in told.below.get(each.digest, ())])
        for each in listed[:SHOWN]
    ]
    found += map(_of_tag, told.signatures)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        read = pool.map(
            lambda each: _files(registry, path, each, is_here=each.part.digest in here),
            attestations[:MAX_ASKED],
        )
        files = list(read)
    for at, each in enumerate(attestations[:SHOWN]):
        about = (platforms or {}).get(each.annotation(SUBJECT_OF_ATTESTATION), "")
        found.append(_of_attestation(each, about, files[at] if at < len(files) else ()))
    more = bool(told.referrers.next_last) or len(attestations) > SHOWN or len(listed) > SHOWN
    return Belongings(found, more, digest)


def _asked(registry: Registry, path: str, digest: str) -> Overview:
    """The same of a registry that has no word for it: from many answers, a few at once."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        tags = pool.map(lambda name: registry.tag(path, name), _tags_of(digest))
        page = registry.referrers(path, digest, n=SHOWN)
        if not page.referrers:
            page = ReferrersPage(_by_fallback(registry, path, digest), page.next_last)
        asked = [each.digest for each in page.referrers[:MAX_ASKED]]
        below = pool.map(lambda each: registry.referrers(path, each, n=MAX_ASKED).referrers, asked)
        return Overview(
            digest,
            is_whole=False,
            referrers=page,
            below=dict(zip(asked, below, strict=True)),
            signatures=[
                Signature(tag.name, tag.digest, tag.size_bytes) for tag in tags if tag is not None
            ],
        )


def _tags_of(digest: str) -> list[str]:
    """The tags by which cosign finds what belongs to a manifest."""
    if not digest.startswith("sha256:"):
        return []
    return [f"{digest.replace(':', '-', 1)}.{kind}" for kind in _COSIGN_KINDS]


def _of_tag(each: Signature) -> Belonging:
    type_ = f"cosign.{each.kind}"
    return Belonging(each.digest, kind_of(type_), type_, "tag", each.size_bytes, tag=each.name)


def _of_referrer(each: Referrer, below: Sequence[Belonging] = ()) -> Belonging:
    said = next((each.annotations[key] for key in _PREDICATES if key in each.annotations), "")
    type_ = shown(each.artifact_type or each.media_type, MAX_TEXT)
    kind = kind_of(said) if said else kind_of(type_)
    size = each.size_bytes or None
    return Belonging(
        each.digest, kind, shown(said, MAX_TEXT) or type_, size_bytes=size, belongings=below
    )


def _of_attestation(each: Descriptor, about: str, files: Sequence[File]) -> Belonging:
    kinds = list(dict.fromkeys(file.kind for file in files))
    return Belonging(
        each.part.digest,
        kinds[0] if len(kinds) == 1 else Kind.ATTESTATION,
        each.part.media_type,
        how="index",
        size_bytes=sum(file.size_bytes for file in files) or None,
        about=about,
        files=files,
    )


def _files(registry: Registry, path: str, each: Descriptor, *, is_here: bool) -> Sequence[File]:
    stored = reading.manifest(registry, path, each.part.digest, is_here=is_here)
    return files_of(stored) if stored else ()


def files_of(stored: StoredManifest) -> Sequence[File]:
    """What an artifact consists of, each with what it is by its annotation or type."""
    return [file_of(layer) for layer in manifests.read(stored).layers(0, SHOWN)]


def file_of(layer: Descriptor) -> File:
    """What a layer of an artifact is: of a statement what it states."""
    said = next((said for key in _PREDICATES if (said := layer.annotation(key))), "")
    type_ = shown(said, MAX_TEXT) or layer.part.media_type
    return File(layer.part.digest, kind_of(type_), type_, layer.part.size_bytes)


def _by_fallback(registry: Registry, path: str, digest: str) -> list[Referrer]:
    """What the index lists that a tag named after the digest points at; of a foreign registry."""
    if registry.own is not None or not digest.startswith("sha256:"):
        return []
    stored = registry.manifest(path, digest.replace(":", "-", 1))
    if stored is None:
        return []
    return [
        Referrer(
            each.part.digest,
            each.part.media_type,
            each.part.size_bytes,
            each.part.artifact_type,
            {key: value for key, value in each.annotations.items() if isinstance(value, str)},
        )
        for each in manifests.read(stored).manifests(0, SHOWN + 1)
    ]
