"""The way to an S3 store: its options, its clients, and what its failures are called here."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import urllib3.exceptions
from boto3.session import Session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from registry.storage.base import StorageFull, StorageUnavailable

_MISSING = {"NoSuchKey", "NoSuchUpload", "404", "NotFound"}
_FULL = {
    "QuotaExceeded",
    "XMinioAdminBucketQuotaExceeded",
    "XMinioStorageFull",
    "InsufficientStorage",
    "507",
}
_FULL_STATUS = 507
_CONNECTIONS = 64
"""More than there are threads in a process, so that none waits for another's connection."""


@dataclass(frozen=True, slots=True)
class S3Options:
    """Where the bucket is and who asks. Without keys boto3 looks for the machine's own."""

    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str = "us-east-1"
    addressing_style: str = "auto"
    access_key: str | None = field(default=None, repr=False)
    secret_key: str | None = field(default=None, repr=False)

    @property
    def style(self) -> str:
        """``path`` or ``virtual``: with an address of one's own, mostly only the first resolves."""
        if self.addressing_style == "auto":
            return "path" if self.endpoint else "virtual"
        return self.addressing_style


class Clients:
    """Three clients of one store that differ in patience. Each may be used by all threads."""

    def __init__(self, options: S3Options) -> None:
        session = Session(
            aws_access_key_id=options.access_key, aws_secret_access_key=options.secret_key
        )

        def client(*, attempts: int, connect: float, read: float) -> Any:
            return session.client(
                "s3",
                endpoint_url=options.endpoint,
                region_name=options.region,
                config=Config(
                    signature_version="s3v4",
                    s3={"addressing_style": options.style},
                    # Waits between attempts grow and are random, so that a store which comes back
                    # is not met by everybody at once.
                    retries={"mode": "standard", "total_max_attempts": attempts},
                    connect_timeout=connect,
                    read_timeout=read,
                    max_pool_connections=_CONNECTIONS,
                    tcp_keepalive=True,
                    # What is sent is checked by the store. What is read is checked by those who
                    # asked for it, who knows its digest.
                    request_checksum_calculation="when_supported",
                    response_checksum_validation="when_required",
                ),
            )

        self.retrying = client(attempts=3, connect=3, read=30)
        """For what may be asked twice."""
        self.once = client(attempts=1, connect=3, read=30)
        """For what may not: beginning and completing an upload of several parts."""
        self.quick = client(attempts=1, connect=2, read=3)
        """For the health check, which has to be over before somebody waits for it."""


def refusal_of(error: ClientError) -> str:
    """The store's own code for what it refuses."""
    return str(error.response.get("Error", {}).get("Code", ""))


@contextlib.contextmanager
def named_failures() -> Iterator[None]:
    """Turn what the store and the network say into the contract's words.

    The message holds neither the address nor anything that was sent.
    """
    try:
        yield
    except ClientError as error:
        code = refusal_of(error)
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")
        if code in _MISSING:
            raise FileNotFoundError(code) from error
        if code in _FULL or status == _FULL_STATUS:
            raise StorageFull(code) from error
        raise StorageUnavailable(f"{error.operation_name}: {code or status}") from error
    except (BotoCoreError, urllib3.exceptions.HTTPError) as error:
        raise StorageUnavailable(type(error).__name__) from error
