"""The one-shot service ``bucket`` of docker-compose.yml: makes the registry's bucket, once."""

from __future__ import annotations

import contextlib
from pathlib import Path

import boto3
from botocore.config import Config

SECRETS = Path("/run/secrets/registry")


def main() -> None:
    """Asks the store for it with the registry's own keys."""
    client = boto3.client(
        "s3",
        endpoint_url="http://store:8333",
        region_name="us-east-1",
        aws_access_key_id=(SECRETS / "store_access_key").read_text(),
        aws_secret_access_key=(SECRETS / "store_secret_key").read_text(),
        config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 5}),
    )
    there = (client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou)
    with contextlib.suppress(*there):
        client.create_bucket(Bucket="registry")
    print("The bucket is there.")


if __name__ == "__main__":
    main()
