"""The content of which a part becomes garbage, the same on both sides.

Images of one repository share a base layer; each has a configuration and a layer of its own. What
docker-registry keeps is written as it would, folder by folder; Berth gets the rows that pushes
would have written, and the same files by hard link.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.loads import MANIFEST_TYPE, digest_of, manifest_of

_BATCH = 5000


@dataclass(frozen=True)
class Image:
    """One image: what its own are, and what it shares."""

    tag: str
    config: bytes
    layer: bytes
    base: bytes

    @property
    def manifest(self) -> bytes:
        """The bytes of its manifest."""
        return manifest_of(self.config, [self.base, self.layer])

    @property
    def digest(self) -> str:
        """The digest of its manifest."""
        return digest_of(self.manifest)

    @property
    def blobs(self) -> tuple[bytes, bytes, bytes]:
        """What it needs: configuration, base, layer."""
        return self.config, self.base, self.layer


def name_of(repository: int) -> str:
    """The name of a repository."""
    return f"load/{repository:04}"


def image_of(repository: int, number: int) -> Image:
    """The image `number` of a repository, always the same."""
    seed = hashlib.sha256(f"{repository} {number}".encode()).hexdigest()
    config = {"os": "linux", "architecture": "amd64", "config": {"Labels": {"seed": seed}}}
    base = hashlib.sha256(f"base {repository}".encode()).digest() * 128
    return Image(f"v{number:06}", json.dumps(config).encode(), bytes.fromhex(seed) * 32, base)


# docker-registry's folders


def write_folders(root: Path, repositories: int, images: int) -> None:
    """What docker-registry would have written below its `rootdirectory`."""
    top = root / "docker" / "registry" / "v2"
    with multiprocessing.get_context("fork").Pool(os.cpu_count()) as pool:
        pool.map(partial(_write_repository, top, images), range(repositories))


def _write_repository(top: Path, images: int, repository: int) -> None:
    folder = top / "repositories" / name_of(repository)
    for number in range(images):
        image = image_of(repository, number)
        for body in image.blobs:
            _write_data(top, body)
            _write_link(folder / "_layers", digest_of(body))
        _write_data(top, image.manifest)
        _write_link(folder / "_manifests" / "revisions", image.digest)
        tag = folder / "_manifests" / "tags" / image.tag
        _write_link(tag / "index", image.digest)
        (tag / "current").mkdir()
        (tag / "current" / "link").write_text(image.digest)


def _write_data(top: Path, body: bytes) -> None:
    path = data_of(top, digest_of(body))
    if not path.exists():
        path.parent.mkdir(parents=True)
        path.write_bytes(body)


def _write_link(folder: Path, digest: str) -> None:
    algorithm, _, encoded = digest.partition(":")
    path = folder / algorithm / encoded / "link"
    if not path.exists():
        path.parent.mkdir(parents=True)
        path.write_text(digest)


def data_of(top: Path, digest: str) -> Path:
    """Where docker-registry keeps the bytes of a digest."""
    algorithm, _, encoded = digest.partition(":")
    return top / "blobs" / algorithm / encoded[:2] / encoded / "data"


# Berth's rows


def write_rows(root: Path, store: Path, repositories: int, images: int) -> None:
    """Berth's rows of the same images, and its store of hard links. Needs Django's settings."""
    from registry.models import Blob, Manifest, ManifestBlob, Repository, RepositoryBlob, Tag
    from registry.services import database
    from registry.storage import paths

    top = root / "docker" / "registry" / "v2"

    def link(digest: str) -> None:
        target = paths.blob(store, digest)
        target.parent.mkdir(parents=True, exist_ok=True)
        os.link(data_of(top, digest), target)

    def write(rows: Iterator[Any]) -> list[Any]:
        found: list[Any] = []
        batch: list[Any] = []
        for row in rows:
            batch.append(row)
            if len(batch) == _BATCH:
                found += _create(batch)
                batch = []
        return found + _create(batch)

    def one(repository: int) -> None:
        made = [image_of(repository, number) for number in range(images)]
        bodies = {digest_of(body): len(body) for image in made for body in image.blobs}
        owner = Repository.objects.create(name=name_of(repository))
        blobs = write(Blob(digest=digest, size=size) for digest, size in bodies.items())
        for digest in bodies:
            link(digest)
        rights = write(RepositoryBlob(repository_id=owner.pk, blob_id=blob.pk) for blob in blobs)
        right_to = {blob.digest: right.pk for blob, right in zip(blobs, rights, strict=True)}
        manifests = write(_manifest(Manifest, owner.pk, image) for image in made)
        pairs = list(zip(made, manifests, strict=True))
        write(
            ManifestBlob(manifest_id=row.pk, link_id=right_to[digest_of(body)])
            for image, row in pairs
            for body in image.blobs
        )
        write(
            Tag(
                repository_id=owner.pk,
                name=image.tag,
                manifest_id=row.pk,
                digest=row.digest,
                size=row.content_size,
            )
            for image, row in pairs
        )

    with database.atomic():
        for repository in range(repositories):
            one(repository)


def _create(batch: list[Any]) -> list[Any]:
    if not batch:
        return []
    made: list[Any] = type(batch[0]).objects.bulk_create(batch, batch_size=_BATCH)
    return made


def _manifest(model: Any, repository_id: int, image: Image) -> Any:
    payload = image.manifest
    return model(
        repository_id=repository_id,
        digest=image.digest,
        media_type=MANIFEST_TYPE,
        config_digest=digest_of(image.config),
        payload=payload,
        size=len(payload),
        content_size=sum(len(body) for body in image.blobs),
        platforms=[{"os": "linux", "architecture": "amd64"}],
    )


def tokens(repositories: int) -> dict[str, str]:
    """A token for each repository, and one that pushes and collects. Needs Django's settings."""
    from tokens.access import Access
    from tokens.issue import issue

    found = {
        name: issue([Access.repository(name, "pull", "push", "delete")], subject="bench").text
        for name in map(name_of, range(repositories))
    }
    push = Access.repository("bench/push", "pull", "push")
    collect = Access("registry", "garbage", ("*",))
    return found | {"": issue([push, collect], subject="bench").text}
