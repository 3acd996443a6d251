"""The same content on both sides: some of it pushed, the many rows and folders written directly."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from benchmarks import loads
from benchmarks.loads import Client
from benchmarks.servers import Bench, Server

MIB = 1024 * 1024
TAGS = 10_000
REPOSITORIES = 10_000
CONFIG = b'{"os":"linux","architecture":"amd64"}'.ljust(2048)
LAYER = b"layer" * 1000
BIG = os.urandom(64 * MIB)


def manifest_digest() -> str:
    """The digest of the manifest that is pulled."""
    return loads.digest_of(loads.manifest_of(CONFIG, [LAYER, BIG]))


def seed_rows(bench: Bench) -> None:
    """Berth's rows: ``seed/large`` with `TAGS` tags and `REPOSITORIES` others."""
    bench.manage(
        "registry_seed",
        f"--repositories={REPOSITORIES}",
        f"--tags={TAGS}",
        f"--blobs={REPOSITORIES}",
    )


def push(server: Server, token: str) -> None:
    """An image that is pulled, through the front door."""
    client = Client(server, token)
    for content in (CONFIG, LAYER, BIG):
        client.push_blob("bench/app", content, loads.digest_of(content), chunked=True)
    client.push_manifest("bench/app", "latest", CONFIG, [LAYER, BIG])


def seed_folders(bench: Bench, server: Server, token: str) -> None:
    """docker-registry's folders: the same names, each a copy of one that it wrote itself."""
    client = Client(server, token)
    for content in (CONFIG, LAYER):
        client.push_blob("seed/large", content, loads.digest_of(content), chunked=True)
    client.push_manifest("seed/large", "v000000", CONFIG, [LAYER])
    root = bench.folder / "docker-registry" / "docker" / "registry" / "v2" / "repositories" / "seed"
    pattern = bench.folder / "pattern"
    shutil.copytree(root / "large", pattern)
    for number in range(REPOSITORIES):
        _link(pattern, root / f"{number:06}")
    tags = root / "large" / "_manifests" / "tags"
    for number in range(1, TAGS):
        _link(tags / "v000000", tags / f"v{number:06}")


def _link(source: Path, target: Path) -> None:
    shutil.copytree(source, target, copy_function=os.link)
