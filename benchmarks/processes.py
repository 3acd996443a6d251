"""What a second process of the registry gives: ``python -m benchmarks.processes [--database URL]``.

Eight clients push small blobs, and sixteen pull a manifest, of a registry of one process and of
one of two, which share a database and a disk, in turn. The clients and the database's server use
the same cores: on a machine of two there is not a whole one for the second process.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from benchmarks import loads, seeding, small_writes
from benchmarks.servers import Bench, Server, running

_GOAL = 1.7
_CLIENTS = 8


def main() -> None:
    """Measure and print: a second for each of the two, their ratio, and the cores that are used."""
    parser = argparse.ArgumentParser(prog="benchmarks.processes")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--database", help="postgresql://… for the registry (default: SQLite)")
    parser.add_argument("--folder", type=Path, help="where the servers keep their data")
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-processes-") as folder,
        ExitStack() as stack,
    ):
        bench = Bench(Path(folder), database=options.database)
        bench.manage("prepare")
        token = bench.token("bench/app", "bench/push")
        servers = []
        for count in ("1", "2"):
            bench.environment["BERTH__PROCESSES"] = count
            servers.append(stack.enter_context(running(bench.berth("registry"))))
        seeding.push(servers[0], token)
        for name, load in _loads(token, options.seconds):
            _compare(name, load, servers, options.rounds)


def _loads(token: str, seconds: float) -> list[tuple[str, Callable[[Server], float]]]:
    bearer = f"Bearer {token}"
    path = "/v2/bench/app/manifests/latest"
    return [
        (
            f"blob 4 KB, {_CLIENTS} clients",
            lambda server: small_writes.blobs(server, token, clients=_CLIENTS, seconds=seconds),
        ),
        (
            "manifest GET by tag",
            lambda server: loads.wrk(server, path, bearer, connections=16, seconds=seconds)[0],
        ),
    ]


def _compare(
    name: str, load: Callable[[Server], float], servers: list[Server], rounds: int
) -> None:
    found: list[list[float]] = [[], []]
    used: list[list[float]] = [[], []]
    for _ in range(rounds):
        for place, server in enumerate(servers):
            os.sync()
            cpu, began = server.cpu_seconds(), time.monotonic()
            found[place].append(load(server))
            used[place].append((server.cpu_seconds() - cpu) / (time.monotonic() - began))
    one, two = (statistics.median(each) for each in found)
    ratio = statistics.median(second / first for first, second in zip(*found, strict=True))
    cores = " and ".join(f"{statistics.median(each):.2f}" for each in used)
    mark = "ok  " if ratio >= _GOAL else "MISS"
    print(
        f"{mark} {name:<24} {one:>9.1f} {two:>9.1f} a second {ratio:>6.2f}x (goal {_GOAL}x)"
        f"  cores used by the registry: {cores}",
        flush=True,
    )


if __name__ == "__main__":
    main()
