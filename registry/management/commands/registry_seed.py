"""``manage.py registry_seed``: many rows, to measure how the lists behave. No bytes are written."""

from __future__ import annotations

import hashlib
import itertools
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Max

from registry import media_types
from registry.models import Blob, Manifest, ManifestBlob, Repository, RepositoryBlob, Tag
from registry.services import database
from registry.tag_order import sort_key

_BATCH = 5000
_TAGS_PER_MANIFEST = 100


def _digest(text: str) -> str:
    return f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"


class Command(BaseCommand):
    """Writes repositories, tags, manifests and blobs whose bytes do not exist."""

    help = (
        "Write rows of repositories, tags and blobs below the name seed/, to measure lists and"
        " queries at scale. Only for a registry that holds nothing else: the images can't be"
        " pulled."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--repositories", type=int, default=10_000)
        parser.add_argument("--tags", type=int, default=100_000, help="in the image seed/large")
        parser.add_argument("--blobs", type=int, default=1_000_000)
        parser.add_argument(
            "--tags-per-manifest", type=int, default=_TAGS_PER_MANIFEST, help="of seed/large"
        )
        parser.add_argument("--tags-each", type=int, default=1, help="in each other image")

    def handle(self, *args: Any, **options: Any) -> None:
        if Repository.objects.exists():
            raise CommandError("This registry holds something already: nothing is written.")
        repositories, tags, blobs = options["repositories"], options["tags"], options["blobs"]
        with database.atomic():
            self._write(
                "repositories",
                (Repository(name=f"seed/{number:06}") for number in range(repositories)),
            )
            large = Repository.objects.create(name="seed/large")
            first = large.pk - repositories
            self._write(
                "blobs",
                (Blob(digest=_digest(f"blob {number}"), size=1000) for number in range(blobs)),
            )
            first_blob = _first_id(Blob, blobs)
            self._write(
                "rights to blobs",
                (
                    RepositoryBlob(
                        repository_id=first + number % (repositories + 1),
                        blob_id=first_blob + number,
                    )
                    for number in range(blobs)
                ),
            )
            share = options["tags_per_manifest"]
            manifests = max(1, tags // share)
            self._write("manifests", _manifests(first, repositories, large.pk, manifests))
            first_manifest = _first_id(Manifest, repositories + manifests)
            first_link = _first_id(RepositoryBlob, blobs)
            self._write(
                "references",
                (
                    ManifestBlob(manifest_id=first_manifest + number, link_id=first_link + number)
                    for number in range(min(repositories, blobs))
                ),
            )
            self._write(
                "tags",
                itertools.chain(
                    _tags_of_others(first, repositories, options["tags_each"], first_manifest),
                    _tags_of_large(large.pk, tags, share, first_manifest + repositories),
                ),
            )
        database.gather_statistics()
        self.stdout.write("Done.")

    def _write(self, what: str, rows: Iterator[Any]) -> None:
        count = 0
        batch: list[Any] = []

        def flush() -> None:
            if batch:
                type(batch[0]).objects.bulk_create(batch, batch_size=_BATCH)
                batch.clear()

        for row in rows:
            batch.append(row)
            count += 1
            if len(batch) == _BATCH:
                flush()
        flush()
        self.stdout.write(f"{count:>10,} {what}")


def _first_id(model: type[Any], count: int) -> int:
    """The id of the first of the `count` rows that were written last, in order."""
    last: int = model.objects.aggregate(last=Max("pk"))["last"] or 0
    return last - count + 1


def _manifests(first: int, repositories: int, large: int, count: int) -> Iterator[Manifest]:
    def one(repository_id: int, name: str, size: int = 1000) -> Manifest:
        return Manifest(
            repository_id=repository_id,
            digest=_digest(name),
            media_type=media_types.OCI_MANIFEST,
            payload=b"{}",
            size=2,
            content_size=size,
        )

    for number in range(repositories):
        yield one(first + number, f"manifest {number}")
    for number in range(count):
        yield one(large, f"large {number}", _size(number))


def _size(manifest: int) -> int:
    """Bytes of a manifest of the large image: every tenth one as large as another."""
    return 1000 * (manifest % 10 + 1)


def _tags_of_others(first: int, repositories: int, each: int, first_manifest: int) -> Iterator[Tag]:
    """In each ``latest``, and further names of the same manifest."""
    for number in range(repositories):
        for name in ("latest", *(f"v{tag:06}" for tag in range(1, each))):
            yield _tag(first + number, name, first_manifest + number, f"manifest {number}")


def _tags_of_large(large: int, count: int, share: int, first_manifest: int) -> Iterator[Tag]:
    """So many tags, of which `share` point at each manifest."""
    last = max(1, count // share) - 1
    for number in range(count):
        manifest = min(number // share, last)
        yield _tag(
            large, f"v{number:06}", first_manifest + manifest, f"large {manifest}", _size(manifest)
        )


def _tag(repository_id: int, name: str, manifest_id: int, manifest: str, size: int = 1000) -> Tag:
    return Tag(
        repository_id=repository_id,
        name=name,
        sort_key=sort_key(name),
        manifest_id=manifest_id,
        digest=_digest(manifest),
        size=size,
    )
