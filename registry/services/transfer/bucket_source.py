"""An S3 bucket in which docker's distribution keeps its images: see `sources`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

from registry import digest as digests
from registry.services.transfer import sources
from registry.services.transfer.sources import NotThere, SourceUnavailable
from registry.storage.base import CHUNK, StorageFull, StorageUnavailable
from registry.storage.s3_client import Clients, S3Options, named_failures
from registry.storage.s3_reader import ObjectReader

PAGE = 1000
"""Keys in one answer of the store; S3's own limit."""

SCHEME = "s3://"


def parse(location: str) -> tuple[str, str]:
    """The bucket and the prefix of ``s3://bucket/prefix``. Raises `NotThere`."""
    bucket, _, prefix = location.removeprefix(SCHEME).partition("/")
    if not location.startswith(SCHEME) or not bucket:
        raise NotThere(f"{location}: a bucket has the form s3://bucket/prefix")
    return bucket, prefix.strip("/")


class BucketSource:
    """A `Source` in a bucket, below a prefix: the ``rootdirectory`` of distribution's S3 driver."""

    def __init__(self, options: S3Options) -> None:
        """`options.prefix` is the root, or ``docker/registry/v2`` below it.

        Raises `NotThere`, `SourceUnavailable`.
        """
        self._bucket = options.bucket
        self._client = Clients(options).retrying
        given = options.prefix.strip("/")
        roots = [f"{given}/docker/registry/v2/", f"{given}/"]
        for root in (root.lstrip("/") for root in roots):
            if self._has_something(f"{root}blobs/") and self._has_something(f"{root}repositories/"):
                self._root = root
                return
        raise NotThere(
            f"{SCHEME}{self._bucket}/{given} holds no docker/registry/v2 with blobs and repositories"
        )

    def names(self) -> Iterator[str]:
        """See `Source.names`. As many questions as there are repositories and folders of them."""
        yield from self._names("")

    def _names(self, folder: str) -> Iterator[str]:
        below = sorted(self._folders(f"repositories/{folder}"))
        if folder and ("_manifests" in below or "_layers" in below):
            yield folder.rstrip("/")
        for name in below:
            if not name.startswith("_"):
                yield from self._names(f"{folder}{name}/")

    def layers(self, name: str) -> Iterator[str]:
        """See `Source.layers`."""
        return self._links(f"repositories/{name}/_layers/")

    def has_layer(self, name: str, digest: str) -> bool:
        """See `Source.has_layer`."""
        return self._said(sources.layer_link(name, digest)) == digest

    def revisions(self, name: str) -> Iterator[str]:
        """See `Source.revisions`."""
        return self._links(f"repositories/{name}/_manifests/revisions/")

    def tags(self, name: str) -> Iterator[tuple[str, str]]:
        """See `Source.tags`."""
        folder = f"repositories/{name}/_manifests/tags/"
        for tag in self._folders(folder):
            yield tag, self._said(f"{folder}{tag}/current/link")

    def size(self, digest: str) -> int:
        """See `Source.size`."""
        with _named():
            found = self._client.head_object(Bucket=self._bucket, Key=self._key(digest))
        return int(found["ContentLength"])

    def chunks(self, digest: str) -> Iterator[bytes]:
        """See `Source.chunks`."""
        with _named():
            reader = ObjectReader(self._client, self._bucket, self._key(digest))
        with reader:
            while chunk := _read(reader, CHUNK):
                yield chunk

    def _key(self, digest: str) -> str:
        return self._root + sources.data(digest)

    def _said(self, link: str) -> str:
        """What a link says; nothing where there is none."""
        try:
            with _named(), ObjectReader(self._client, self._bucket, self._root + link) as reader:
                return reader.read(sources.MAX_LINK).decode("ascii", "replace").strip()
        except FileNotFoundError:
            return ""

    def _links(self, folder: str) -> Iterator[str]:
        """The digests that links in a folder name. One as long as its digest need not be read."""
        for page in self._pages(self._root + folder):
            for entry in page.get("Contents", []):
                link = str(entry["Key"]).removeprefix(self._root)
                digest = _digest(link.removeprefix(folder))
                if digest and (entry["Size"] == len(digest) or self._said(link) == digest):
                    yield digest

    def _folders(self, folder: str) -> Iterator[str]:
        """The names of what lies right below a folder and has something in it."""
        for page in self._pages(self._root + folder, Delimiter="/"):
            for entry in page.get("CommonPrefixes", []):
                yield str(entry["Prefix"]).rstrip("/").rpartition("/")[2]

    def _has_something(self, prefix: str) -> bool:
        with _named():
            found = self._client.list_objects_v2(Bucket=self._bucket, Prefix=prefix, MaxKeys=1)
        return bool(found.get("Contents"))

    def _pages(self, prefix: str, **more: str) -> Iterator[dict[str, Any]]:
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=prefix, PaginationConfig={"PageSize": PAGE}, **more
        )
        with _named():
            yield from pages


def _digest(link: str) -> str:
    """The digest that ``sha256/<hex>/link`` is named after; nothing where it is something else."""
    parts = link.split("/")
    digest = ":".join(parts[:2])
    return digest if parts[2:] == ["link"] and digests.is_digest(digest) else ""


def _read(reader: ObjectReader, size: int) -> bytes:
    with _named():
        return reader.read(size)


@contextlib.contextmanager
def _named() -> Iterator[None]:
    """Tell a source that fails from the registry's own store."""
    try:
        with named_failures():
            yield
    except (StorageFull, StorageUnavailable) as error:
        raise SourceUnavailable(str(error)) from error
