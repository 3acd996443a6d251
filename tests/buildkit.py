"""Multi-platform images with attestations, in the shape that BuildKit documents.

Statements lie in ``tests/data/buildkit``. Source: BuildKit's ``docs/attestations``: "Image
Attestation Storage", "SLSA definitions", "SBOM attestations".
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

_DATA = Path(__file__).resolve().parent / "data" / "buildkit"

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
IN_TOTO = "application/vnd.in-toto+json"
STATEMENTS = ("sbom.json", "provenance-0.2.json")

PutBlob = Callable[[bytes], dict[str, Any]]
PutManifest = Callable[[bytes], dict[str, Any]]
"""Each takes bytes and gives a digest and a size, the second a type too."""


def statement(name: str, subject: str) -> dict[str, Any]:
    """A statement about the manifest of a digest."""
    text = (_DATA / name).read_text().replace("SUBJECT", subject.partition(":")[2])
    found: dict[str, Any] = json.loads(text)
    return found


def attestation(
    image: dict[str, Any], put_blob: PutBlob, put_manifest: PutManifest, names: Sequence[str]
) -> dict[str, Any]:
    """What an index lists of an attestation about `image`, once its parts are put."""
    layers = []
    for name in names:
        said = statement(name, image["digest"])
        layers.append(
            {
                "mediaType": IN_TOTO,
                **put_blob(json.dumps(said, indent=2).encode()),
                "annotations": {"in-toto.io/predicate-type": said["predicateType"]},
            }
        )
    config = {
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in layers]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, **put_blob(json.dumps(config).encode())},
        "layers": layers,
    }
    return {
        "mediaType": MANIFEST,
        **put_manifest(json.dumps(manifest).encode()),
        "annotations": {
            "vnd.docker.reference.digest": image["digest"],
            "vnd.docker.reference.type": "attestation-manifest",
        },
        "platform": {"architecture": "unknown", "os": "unknown"},
    }


def index(
    images: Sequence[dict[str, Any]],
    put_blob: PutBlob,
    put_manifest: PutManifest,
    names: Sequence[str] = STATEMENTS,
) -> bytes:
    """An index of images, descriptors with a ``platform``, and behind them of what is attested."""
    about = [attestation(image, put_blob, put_manifest, names) for image in images]
    said = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*images, *about]}
    return json.dumps(said, indent=2).encode()
