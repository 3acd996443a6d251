"""Which packages two images have, where both say so by an SBOM: new, gone, of another version.

An SBOM is its author's word. It is found among what refers to an image, by cosign's tags, and among
BuildKit's attestations in the index that an image stands in.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from gitlab.container_registry.client.overview import Overview
from gitlab.container_registry.client.registry import Registry
from gitlab.container_registry.contents import belonging, reading, sbom
from gitlab.container_registry.contents.artifacts import Kind, kind_of
from gitlab.container_registry.contents.sbom import Sbom

MAX_PACKAGES = 20_000
"""Of one image that are compared."""

SHOWN = 200
"""Packages that differ and are told. The rest is counted."""

_COSIGN_KINDS = ("sbom", "att")
_ASKED = 5
"""Manifests that are looked into for an SBOM; of referrers ten times as many are listed."""


@dataclass(frozen=True)
class Changed:
    """A package that is not the same in both; versions are "" where it is not there."""

    kind: str
    name: str
    before: str
    after: str

    @property
    def change(self) -> str:
        """``added``, ``removed`` or ``changed``."""
        if self.before and self.after:
            return "changed"
        return "removed" if self.before else "added"


@dataclass(frozen=True)
class Packages:
    """How the packages of two images differ: some of them, and how many of each change in all."""

    changed: Sequence[Changed]
    added_count: int
    removed_count: int
    changed_count: int
    same_count: int
    is_cut: bool = False

    @property
    def more(self) -> int:
        """How many are not told."""
        return self.added_count + self.removed_count + self.changed_count - len(self.changed)


def sbom_of(
    registry: Registry,
    path: str,
    digest: str,
    attestations: Sequence[str] = (),
    overview: Overview | None = None,
) -> Sbom | None:
    """The first SBOM that belongs to an image, None where there is none that can be read.

    `attestations` are manifests about it in the index that it stands in. What our registry has said
    of it in an `overview` is not asked again.
    """
    for number, held in enumerate(_holding(registry, path, digest, attestations, overview)):
        if number >= _ASKED:
            return None
        stored = reading.manifest(registry, path, held)
        for file in belonging.files_of(stored) if stored else ():
            if file.kind is not Kind.SBOM:
                continue
            payload = reading.blob(registry, path, file.digest)
            found = sbom.read(payload) if payload else None
            if found is not None:
                return found
    return None


def _holding(
    registry: Registry,
    path: str,
    digest: str,
    attestations: Sequence[str],
    overview: Overview | None,
) -> Iterator[str]:
    """Manifests in which an SBOM may be, the most likely first."""
    yield from attestations
    page = overview.referrers if overview else registry.referrers(path, digest, n=10 * _ASKED)
    for each in page.referrers:
        said = (each.artifact_type or each.media_type, *each.annotations.values())
        if any(kind_of(text) in (Kind.SBOM, Kind.ATTESTATION) for text in said):
            yield each.digest
    if overview:
        found = {tag.kind: tag.digest for tag in overview.signatures}
        yield from (found[kind] for kind in _COSIGN_KINDS if kind in found)
    elif digest.startswith("sha256:"):
        for kind in _COSIGN_KINDS:
            tag = registry.tag(path, f"{digest.replace(':', '-', 1)}.{kind}")
            if tag is not None:
                yield tag.digest


def compare(before: Sbom, after: Sbom) -> Packages:
    """How two lists of packages differ, by name. One of several versions is told with all."""
    one, other = _versions(before), _versions(after)
    names = sorted({*one, *other})
    changed = [
        Changed(*name, ", ".join(one.get(name, ())), ", ".join(other.get(name, ())))
        for name in names
        if one.get(name) != other.get(name)
    ]
    counts = dict.fromkeys(("added", "removed", "changed"), 0)
    for each in changed:
        counts[each.change] += 1
    # What has another version is what somebody looks for.
    changed.sort(key=lambda each: (each.change != "changed", each.change, each.name, each.kind))
    return Packages(
        changed[:SHOWN],
        counts["added"],
        counts["removed"],
        counts["changed"],
        len(names) - len(changed),
        is_cut=max(before.total, after.total) > MAX_PACKAGES,
    )


def _versions(found: Sbom) -> dict[tuple[str, str], tuple[str, ...]]:
    packages, _ = found.page("", 0, MAX_PACKAGES)
    versions: dict[tuple[str, str], set[str]] = {}
    for package in packages:
        versions.setdefault((package.kind, package.name), set()).add(package.version or "?")
    return {name: tuple(sorted(known)) for name, known in versions.items()}
