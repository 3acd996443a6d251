"""Images made here, without any network: byte by byte, so that what comes back can be compared.

An image is built once in memory and written either as what ``docker save`` makes or as an OCI
layout, which skopeo, podman and buildah read.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def digest_of(content: bytes) -> str:
    """``sha256:…``"""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def layer(files: dict[str, bytes]) -> bytes:
    """An uncompressed tar of `files`, the same bytes each time."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@dataclass(frozen=True)
class Image:
    """Layers, and the configuration that names them."""

    layers: tuple[bytes, ...]
    architecture: str = "amd64"
    labels: dict[str, str] = field(default_factory=dict)

    @cached_property
    def config(self) -> bytes:
        """The image's configuration; its digest is docker's image id."""
        return json.dumps(
            {
                "architecture": self.architecture,
                "os": "linux",
                "config": {"Cmd": ["/hello"], "Labels": self.labels},
                "rootfs": {"type": "layers", "diff_ids": [digest_of(one) for one in self.layers]},
                "history": [{"created_by": f"layer {n}"} for n in range(len(self.layers))],
            }
        ).encode()

    @cached_property
    def id(self) -> str:
        """docker's image id."""
        return digest_of(self.config)

    @cached_property
    def blobs(self) -> tuple[bytes, ...]:
        """The layers as they travel: compressed, so that no client does it its own way."""
        return tuple(gzip.compress(one, compresslevel=1, mtime=0) for one in self.layers)

    @cached_property
    def manifest(self) -> bytes:
        """The OCI manifest."""
        return json.dumps(
            {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": _descriptor(CONFIG, self.config),
                "layers": [_descriptor(LAYER, one) for one in self.blobs],
            }
        ).encode()


def tiny(text: str = "hello", *, architecture: str = "amd64") -> Image:
    """One small layer; another text or architecture makes another image."""
    return Image((layer({"hello": text.encode()}),), architecture=architecture)


def many_layers(count: int = 40) -> Image:
    """As many layers as a long Dockerfile makes."""
    return Image(tuple(layer({f"step-{n}": b"%d" % n * 1000}) for n in range(count)))


def large(megabytes: int, *, seed: int = 7) -> Image:
    """One layer of bytes that don't compress, and a small one."""
    source = random.Random(seed)
    noise = b"".join(source.randbytes(1024 * 1024) for _ in range(megabytes))
    return Image((layer({"noise": noise}), layer({"hello": b"large"})))


def write_docker_archive(image: Image, path: Path, name: str) -> Path:
    """What ``docker load`` reads."""
    config_name = f"{image.id.removeprefix('sha256:')}.json"
    members = {config_name: image.config}
    paths = []
    for content in image.layers:
        layer_name = f"{digest_of(content).removeprefix('sha256:')}/layer.tar"
        members[layer_name] = content
        paths.append(layer_name)
    listing: list[dict[str, Any]] = [{"Config": config_name, "RepoTags": [name], "Layers": paths}]
    members["manifest.json"] = json.dumps(listing).encode()
    with tarfile.open(path, "w") as archive:
        for member, content in members.items():
            info = tarfile.TarInfo(member)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def write_layout(folder: Path, *images: Image, tag: str = "latest") -> Path:
    """An OCI layout: of one image, or of an index of several for different architectures."""
    blobs = folder / "blobs" / "sha256"
    blobs.mkdir(parents=True)

    def write(content: bytes) -> None:
        (blobs / digest_of(content).removeprefix("sha256:")).write_bytes(content)

    descriptors = []
    for image in images:
        for content in (*image.blobs, image.config, image.manifest):
            write(content)
        descriptors.append(
            _descriptor(MANIFEST, image.manifest)
            | {"platform": {"architecture": image.architecture, "os": "linux"}}
        )
    top = descriptors[0]
    if len(images) > 1:
        index = index_of(*images)
        write(index)
        top = _descriptor(INDEX, index)
    top = top | {"annotations": {"org.opencontainers.image.ref.name": tag}}
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [top]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    return folder


def index_of(*images: Image) -> bytes:
    """The OCI index of `images`."""
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": INDEX,
            "manifests": [
                _descriptor(MANIFEST, image.manifest)
                | {"platform": {"architecture": image.architecture, "os": "linux"}}
                for image in images
            ],
        }
    ).encode()


def layout_blobs(folder: Path) -> set[str]:
    """The digests in a layout, each recomputed from its bytes."""
    return {digest_of(path.read_bytes()) for path in (folder / "blobs" / "sha256").iterdir()}


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}
