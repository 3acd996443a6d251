"""Run the comparison: ``python -m benchmarks [--quick] [--only WORD] [--out FILE]``.

Both servers run at the same time and are loaded in turn, one round after the other, so that what
else the machine does falls on both. A ratio above 1 means that Berth is better.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from benchmarks import loads
from benchmarks.servers import PROJECT, Bench, Server, missing_programs, running

MIB = 1024 * 1024
Measure = Callable[[Server], float]


@dataclass
class Work:
    """Something that is measured on both sides. `better` says which way a figure is good."""

    name: str
    goal: float
    unit: str
    measure: Measure
    better: str = "more"


def main() -> int:
    """Measure, print the table, write the results."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", default="", help="only works whose name contains this")
    parser.add_argument("--out", type=Path, default=PROJECT / "benchmarks" / "results.json")
    parser.add_argument("--database", help="postgresql://… for the registry (default: SQLite)")
    parser.add_argument("--folder", type=Path, help="where the servers keep their data")
    options = parser.parse_args()
    if missing := missing_programs():
        print(f"Missing: {', '.join(missing)}. Install them first.", file=sys.stderr)
        return 2
    rounds, seconds = (3, 2.0) if options.quick else (5, 4.0)
    with (
        tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as folder,
        ExitStack() as stack,
    ):
        bench = Bench(Path(folder), database=options.database)
        bench.manage("prepare")
        token = _token(bench)
        ours = stack.enter_context(running(bench.berth("registry")))
        theirs = stack.enter_context(running(bench.docker_registry()))
        for server in (ours, theirs):
            _seed(server, token)
        works = [
            work
            for work in _works(token, seconds, quick=options.quick)
            if options.only in work.name
        ]
        rows = [_compare(work, ours, theirs, rounds) for work in works]
    loads.write_results(options.out, rows)
    return 0


def _token(bench: Bench) -> str:
    code = (
        "from tokens.issue import issue; from tokens.access import Access;"
        "print(issue([Access.repository(n, 'pull', 'push') for n in"
        " ('bench/app', 'bench/push', 'bench/many', 'bench/tags')]"
        " + [Access('registry', 'catalog', ('*',))], subject='bench').text)"
    )
    return bench.manage("shell", "--no-imports", "-c", code).strip().splitlines()[-1]


_CONFIG = b'{"os":"linux","architecture":"amd64"}'.ljust(2048)
_LAYER = b"layer" * 1000
_BIG: list[bytes] = []
_TAGS = 10_000


def _seed(server: Server, token: str) -> None:
    if not _BIG:
        _BIG.append(loads.Payloads(64 * MIB).next()[0].tobytes())
    client = loads.Client(server, token)
    for content in (_CONFIG, _LAYER, _BIG[0]):
        client.push_blob("bench/app", content, loads.digest_of(content), chunked=True)
    client.push_manifest("bench/app", "latest", _CONFIG, [_LAYER, _BIG[0]])
    for content in (_CONFIG, _LAYER):
        client.push_blob("bench/tags", content, loads.digest_of(content), chunked=True)
    for number in range(_TAGS):
        client.push_manifest("bench/tags", f"v{number:05}", _CONFIG, [_LAYER])


def _works(token: str, seconds: float, *, quick: bool) -> list[Work]:
    manifest = loads.digest_of(_manifest_body())
    small = loads.digest_of(_CONFIG)
    big = loads.digest_of(_BIG[0])
    medium_payload = loads.Payloads(64 * MIB)
    large_payload = loads.Payloads((128 if quick else 512) * MIB)

    def rate(path: str) -> Measure:
        return lambda server: loads.wrk(server, path, token, connections=16, seconds=seconds)[0]

    def heads(path: str) -> Measure:
        return lambda server: loads.heads(server, path, token, connections=16, seconds=seconds)

    def volume(server: Server) -> float:
        return (
            loads.wrk(server, f"/v2/bench/app/blobs/{big}", token, connections=4, seconds=seconds)[
                1
            ]
            / MIB
        )

    def cpu_a_gigabyte(server: Server) -> float:
        before = server.cpu_seconds()
        _, moved = loads.wrk(
            server, f"/v2/bench/app/blobs/{big}", token, connections=4, seconds=seconds
        )
        return (server.cpu_seconds() - before) / (moved * seconds / 1024**3)

    def push(payloads: loads.Payloads, *, chunked: bool) -> Measure:
        return lambda server: loads.time_push(server, token, payloads, chunked=chunked)

    def gets(path: str, count: int) -> Measure:
        return lambda server: loads.time_gets(server, token, path, count)

    last = f"/v2/bench/tags/tags/list?n=100&last=v{_TAGS - 101:05}"
    return [
        Work("manifest GET by tag", 3, "requests/s", rate("/v2/bench/app/manifests/latest")),
        Work(
            "manifest HEAD by tag",
            3,
            "requests/s",
            heads("/v2/bench/app/manifests/latest"),
        ),
        Work(
            "manifest GET by digest", 3, "requests/s", rate(f"/v2/bench/app/manifests/{manifest}")
        ),
        Work(
            "manifest HEAD by digest",
            3,
            "requests/s",
            heads(f"/v2/bench/app/manifests/{manifest}"),
        ),
        Work("blob GET 2 KB", 3, "requests/s", rate(f"/v2/bench/app/blobs/{small}")),
        Work("blob GET 64 MB", 1, "MiB/s", volume),
        Work("blob GET 64 MB, CPU", 1.25, "CPU s/GiB", cpu_a_gigabyte, "less"),
        Work("push 64 MB chunked", 1.5, "s", push(medium_payload, chunked=True), "less"),
        Work("push 64 MB with length", 1.5, "s", push(medium_payload, chunked=False), "less"),
        Work("push 512 MB chunked", 1.5, "s", push(large_payload, chunked=True), "less"),
        Work("push 512 MB with length", 1.5, "s", push(large_payload, chunked=False), "less"),
        Work("tags/list first page", 10, "requests/s", gets("/v2/bench/tags/tags/list?n=100", 50)),
        Work("tags/list last page", 10, "requests/s", gets(last, 50)),
    ]


def _manifest_body() -> bytes:
    return json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": loads.MANIFEST_TYPE,
            "config": loads.descriptor(loads.CONFIG_TYPE, _CONFIG),
            "layers": [loads.descriptor(loads.LAYER_TYPE, layer) for layer in (_LAYER, _BIG[0])],
        }
    ).encode()


def _compare(work: Work, ours: Server, theirs: Server, rounds: int) -> dict[str, object]:
    ours_figures, theirs_figures, ratios = [], [], []
    for _ in range(rounds):
        subprocess.run(["sync"], check=False)
        mine, other = work.measure(ours), work.measure(theirs)
        ours_figures.append(mine)
        theirs_figures.append(other)
        ratios.append(mine / other if work.better == "more" else other / mine)
    median = statistics.median(ratios)
    mark = "ok " if median >= work.goal else "MISS"
    print(
        f"{mark} {work.name:<28} {statistics.median(ours_figures):>10.2f}"
        f" {statistics.median(theirs_figures):>10.2f} {work.unit:<11}"
        f" {median:>6.2f}x (goal {work.goal}x)  " + " ".join(f"{ratio:.2f}" for ratio in ratios),
        flush=True,
    )
    return {
        "work": work.name,
        "goal": work.goal,
        "ours": round(statistics.median(ours_figures), 3),
        "theirs": round(statistics.median(theirs_figures), 3),
        "unit": work.unit,
        "ratios": [round(ratio, 3) for ratio in ratios],
        "median": round(median, 3),
    }


if __name__ == "__main__":
    sys.exit(main())
