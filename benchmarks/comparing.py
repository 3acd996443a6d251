"""Looking into images: ``python -m benchmarks.comparing [--megabytes 500]``.

Pushes two images of 30 layers and prints the median time of comparing them over HTTP, and of asking
who signed one. Then makes a layer of so many bytes and prints how fast its files are listed on one
core, packed by gzip, by zstd and not at all, and by how much the memory grows.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import random
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import zstandard

from benchmarks.loads import Client, digest_of, manifest_of
from benchmarks.servers import Bench, running

_ROUNDS = 30
_LAYERS = 30
_LIMIT_MS = 100.0
_LIMIT_SPEED, _LIMIT_MIB = 80.0, 64.0
"""Megabytes of files a second, and what the memory may grow by."""

_FILE = 24 * 1024
"""Bytes of a file in the layer, on average."""

_SEED = """
from gitlab.access_tokens import services as tokens
from gitlab.accounts import services as accounts
from gitlab.container_registry.client.tokens import for_repository
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import services
alice = accounts.create_user(username="alice", email="alice@example.com", password=None)
seed = services.create_group(alice, path="seed")
project = services.create_project(alice, namespace=seed, path="images")
image = ContainerRepository.objects.create(project=project, path="seed/images")
token = tokens.create(alice, name="bench", scopes=["api"])[1]
print(project.pk, image.pk, token, for_repository("seed/images", "pull", "push"))
"""

_READ = """
import hashlib, json, sys, time
from gitlab.container_registry.layers.reading import read_layer

def memory():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0]) / 1024

def chunks(path):
    with open(path, "rb") as file:
        while chunk := file.read(65536):
            yield chunk

path, digest = sys.argv[1:]
before, started = memory(), time.process_time()
found = read_layer(chunks(path), digest)
spent = time.process_time() - started
assert not found.fault, found.fault
print(json.dumps([found.unpacked_bytes / spent / 1e6, memory() - before, len(found.records)]))
"""


def main() -> None:
    """Measure, print; fails where something takes longer than it may."""
    parser = argparse.ArgumentParser(prog="benchmarks.comparing")
    parser.add_argument("--megabytes", type=int, default=500, help="of the layer that is read")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="comparing-") as folder:
        slow = [*_compared(Path(folder)), *_read(Path(folder), options.megabytes)]
    if slow:
        raise SystemExit(f"over their limits: {', '.join(slow)}")


def _compared(folder: Path) -> list[str]:
    bench = Bench(folder)
    bench.manage("prepare")
    project, image, token, push = bench.python(_SEED).split()
    with running(bench.berth("registry")) as registry:
        client = Client(registry, push)
        for tag in ("v1", "v2"):
            _push(client, tag)
        bench.environment["GITLAB_RAILS__REGISTRY_API_URL"] = registry.address
        with running(bench.berth("web")) as web:
            asked = Client(web, token)
            at = f"/api/v4/projects/{project}/registry/repositories/{image}"
            path = f"{at}/compare?before=v1&after=v2"
            figures = {
                f"comparing two images of {_LAYERS} layers": asked.median_ms(path, _ROUNDS),
                "showing who signed a tag": asked.median_ms(f"{at}/tags/v1/signatures", _ROUNDS),
                "an empty answer of the API": asked.median_ms("/api/v4/version", _ROUNDS),
            }
    for what, milliseconds in figures.items():
        print(f"{what:<50} {milliseconds:8.1f} ms")
    return [what for what, milliseconds in figures.items() if milliseconds > _LIMIT_MS]


def _push(client: Client, tag: str) -> None:
    """An image that shares the lower half of its layers with the other."""
    layers = [
        f"layer {n} of {tag if n * 2 >= _LAYERS else 'both'}".encode() for n in range(_LAYERS)
    ]
    config = json.dumps(
        {
            "os": "linux",
            "architecture": "amd64",
            "config": {"Env": [f"V{n}={tag}" for n in range(20)], "Labels": {"version": tag}},
            "history": [{"created_by": f"RUN make part-{n}"} for n in range(_LAYERS)],
        }
    ).encode()
    for content in (config, *layers):
        client.push_small("seed/images", content, digest_of(content))
    client.put_manifest("seed/images", tag, manifest_of(config, layers))


def _read(folder: Path, megabytes: int) -> list[str]:
    plain = folder / "layer.tar"
    _make(plain, megabytes * 1_000_000)
    packed = {"plain": plain, "gzip": folder / "layer.gz", "zstd": folder / "layer.zst"}
    with plain.open("rb") as source, gzip.open(packed["gzip"], "wb", compresslevel=6) as target:
        while block := source.read(1 << 20):
            target.write(block)
    with plain.open("rb") as source, packed["zstd"].open("wb") as found:
        zstandard.ZstdCompressor(level=3).copy_stream(source, found)
    slow = []
    for kind, path in packed.items():
        answer = subprocess.run(
            [sys.executable, "-c", _READ, str(path), digest_of(path.read_bytes())],
            capture_output=True,
            check=True,
            text=True,
        )
        speed, grown, entries = json.loads(answer.stdout)
        what = f"listing {entries:,} entries, {kind}"
        print(f"{what:<50} {speed:8.0f} MB/s {grown:6.1f} MiB more")
        if speed < _LIMIT_SPEED or grown > _LIMIT_MIB:
            slow.append(what)
    return slow


def _make(path: Path, size: int) -> None:
    """A layer of files of which about two thirds pack away, as programs and libraries do."""
    chance = random.Random(1)
    noise, words = os.urandom(1 << 20), (b"import something from somewhere else\n" * 40_000)
    with tarfile.open(path, "w") as archive:
        number = written = 0
        while written < size:
            length = chance.randrange(100, 2 * _FILE)
            third = length // 3
            start = chance.randrange(1 << 19)
            content = noise[start : start + third] + words[: length - third]
            info = tarfile.TarInfo(f"usr/lib/package-{number // 50}/file-{number}.so")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
            number += 1
            written += len(content) + 1024


if __name__ == "__main__":
    main()
