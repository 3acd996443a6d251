"""The store that the settings name: the one module that knows which stores there are.

What one of them is, `registry.storage.base` says; nothing there knows the stores or this module.
"""

from __future__ import annotations

import functools
from typing import Any

from django.conf import settings

from registry.storage.base import BlobStore
from registry.storage.filesystem import FilesystemStore


@functools.cache
def _filesystem(root: str) -> BlobStore:
    return FilesystemStore(root)


@functools.cache
def _s3(max_blob_size: int, **options: str | None) -> BlobStore:
    # boto3 takes half a second and tens of megabytes: only for those who use it.
    from registry.storage.s3 import S3Store
    from registry.storage.s3_client import S3Options

    return S3Store(S3Options(**options), max_blob_size=max_blob_size)  # type: ignore[arg-type]


def current() -> BlobStore:
    """The store that the settings name."""
    configured: dict[str, Any] = settings.REGISTRY_STORAGE
    if configured["driver"] == "s3":
        return _s3(settings.REGISTRY_MAX_BLOB_SIZE, **configured["s3"])
    return _filesystem(str(configured["root"]))
