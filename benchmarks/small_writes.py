"""Small writes: what most requests of a push are, one by one and by several clients at once."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor

from benchmarks.loads import Client, Measured, digest_of, manifest_of
from benchmarks.servers import Server

_SIZE = 4096
_MOUNTS = 300
_SOURCE, _TARGET = "bench/app", "bench/push"

Step = Callable[[], object]


def blobs(server: Server, token: str, *, clients: int, seconds: float) -> Measured:
    """Blobs of 4 KB a second, each by POST and PUT."""
    return _by_clients(lambda: _blob_steps(Client(server, token)), clients, seconds)


def _blob_steps(client: Client) -> Iterator[Step]:
    while True:
        content = os.urandom(_SIZE)
        digest = digest_of(content)
        yield lambda content=content, digest=digest: client.push_small(_TARGET, content, digest)


def manifests(server: Server, token: str, *, known: bool, seconds: float) -> Measured:
    """Manifests a second, each under a new tag: a new one each time, or always the same one."""

    def steps() -> Iterator[Step]:
        client = Client(server, token)
        config, layer = os.urandom(_SIZE), os.urandom(_SIZE)
        for content in (config, layer):
            client.push_small(_TARGET, content, digest_of(content))
        number = 0
        while True:
            body = manifest_of(config, [layer], "" if known else f"{time.time_ns()} {number}")
            tag = f"t{time.time_ns()}-{number}"
            yield lambda body=body, tag=tag: client.put_manifest(_TARGET, tag, body)
            number += 1

    return _by_clients(steps, 1, seconds)


def mounts(server: Server, token: str) -> Measured:
    """Mounts a second of blobs that the target does not have yet."""
    client = Client(server, token)
    digests = []
    for _ in range(_MOUNTS):
        content = os.urandom(64)
        digests.append(digest_of(content))
        client.push_small(_SOURCE, content, digests[-1])
    steps = (lambda digest=digest: client.mount(_TARGET, digest, _SOURCE) for digest in digests)
    return _by_clients(lambda: steps, 1, float("inf"))


def _by_clients(steps_of: Callable[[], Iterable[Step]], clients: int, seconds: float) -> Measured:
    """Steps a second by several clients at once, with how long each step took."""
    prepared = [iter(steps_of()) for _ in range(clients)]
    first = [next(steps) for steps in prepared]  # What a client prepares is not measured.
    began = time.perf_counter()
    until = began + seconds

    def run(number: int) -> list[float]:
        took = []
        step: Step | None = first[number]
        while step is not None and (started := time.perf_counter()) < until:
            step()
            took.append(time.perf_counter() - started)
            step = next(prepared[number], None)
        return took

    with ThreadPoolExecutor(clients) as pool:
        latencies = [each for took in pool.map(run, range(clients)) for each in took]
    return Measured.of(latencies, time.perf_counter() - began)
