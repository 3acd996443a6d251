"""The options of a store on the tests' S3 server."""

from __future__ import annotations

from typing import Any

from registry.storage.s3_client import S3Options
from tests.e2e.seaweedfs import ACCESS_KEY, BUCKET, SECRET_KEY, SeaweedFS


def options(s3: SeaweedFS, prefix: str, **more: Any) -> S3Options:
    """A store's options for the server."""
    given = {"endpoint": s3.endpoint, "access_key": ACCESS_KEY, "secret_key": SECRET_KEY, **more}
    return S3Options(bucket=BUCKET, prefix=prefix, **given)
