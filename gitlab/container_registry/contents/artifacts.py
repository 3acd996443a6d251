"""What a thing that is no image is, by the types that it says of itself.

Types are those of artifacts, of layers, and of statements (their predicate's).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from tokens.signature_types import SIGNATURE_TYPES


class Kind(Enum):
    """What something is that belongs to an image, or stands for itself; the value is its name."""

    SIGNATURE = "Signature"
    SBOM = "SBOM"
    PROVENANCE = "Provenance"
    ATTESTATION = "Attestation"
    CHART = "Helm chart"
    ARTIFACT = "Artifact"


@dataclass(frozen=True)
class Badge:
    """What a list says of a tag in a word."""

    label: str
    icon: str
    title: str


_WORDS = (
    (Kind.PROVENANCE, ("slsa.dev/provenance", "provenance")),
    (Kind.SBOM, ("spdx", "cyclonedx", "sbom", "syft")),
    # cosign's statement that signs an image itself.
    (Kind.SIGNATURE, ("cosign/sign",)),
    (Kind.CHART, ("cncf.helm",)),
    (Kind.ATTESTATION, ("in-toto", "intoto", "dsse", "cosign.att", "attestation", "predicate")),
)
_SIGNATURES = frozenset((*SIGNATURE_TYPES, "cosign.sig"))
_BADGES = {
    Kind.SIGNATURE: Badge(
        "signed", "badge-check", "It has a signature, which is not verified here"
    ),
    Kind.SBOM: Badge("SBOM", "list", "It has a list of what is in it"),
    Kind.PROVENANCE: Badge("provenance", "git-branch", "It has a statement of how it was built"),
    Kind.ATTESTATION: Badge("attested", "scroll-text", "It has a statement about it"),
}
ICONS = {
    Kind.SIGNATURE: "badge-check",
    Kind.SBOM: "list",
    Kind.PROVENANCE: "git-branch",
    Kind.ATTESTATION: "scroll-text",
    Kind.CHART: "ship",
    Kind.ARTIFACT: "package",
}


def kind_of(type_: str) -> Kind:
    """What a type stands for; an artifact of any other is just that."""
    lowered = type_.lower()
    if lowered in _SIGNATURES:
        return Kind.SIGNATURE
    for kind, words in _WORDS:
        if any(word in lowered for word in words):
            return kind
    return Kind.ARTIFACT


def badges_of(types: Iterable[str]) -> list[Badge]:
    """A badge for each kind of what belongs to a tag, each once, the signature first."""
    kinds = {kind_of(each) for each in types}
    return [badge for kind, badge in _BADGES.items() if kind in kinds]
