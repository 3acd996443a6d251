"""Collection beside docker-registry's: ``python -m benchmarks.garbage [--images N] [--database
URL]``.

Both sides hold the same images. A hundredth of them is deleted through the front door of each, then
each collects: Berth while it serves, docker-registry by ``garbage-collect`` once it is stopped, as
it must be. Several rounds on one content, each with other images. Then the latency of pushes to
Berth with and without a collection, in turn.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks import garbage_content, loads
from benchmarks.loads import Client, digest_of
from benchmarks.servers import Bench, Server, running

GOAL = 20
_REPOSITORIES = 100
_PUSHERS = 4
_STEP = 200
"""Candidates of one call, as the schedule's jobs ask for them."""

Row = dict[str, object]


def main() -> None:
    """Make the content, measure, print; write the rows beside the others' results."""
    parser = argparse.ArgumentParser(prog="benchmarks.garbage")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=15, help="of pushes, with and without")
    parser.add_argument("--database", help="postgresql://… for the registry (default: SQLite)")
    parser.add_argument("--folder", type=Path, help="where the servers keep their data")
    parser.add_argument("--out", type=Path, help="benchmarks/results.json gets these rows too")
    options = parser.parse_args()
    each = options.images // _REPOSITORIES
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-garbage-") as folder:
        bench = Bench(Path(folder), database=options.database)
        # What is deleted is garbage at once.
        bench.environment |= {"BERTH__GC_REVIEW_DELAY": "0", "BERTH__UNDO_WINDOW": "0"}
        bench.environment["BERTH__TOKEN_EXPIRE_DELAY"] = "600"
        bench.manage("prepare")
        _fill(bench, each)
        numbers = itertools.count()
        rows = [
            _collections(bench, options, each, numbers),
            *_latencies(bench, options, each, numbers),
        ]
        # Before all of it is removed, which takes longer than to measure it.
        if options.out:
            loads.write_results(options.out, rows)


def _fill(bench: Bench, each: int) -> None:
    root = bench.folder / "docker-registry"
    started = time.perf_counter()
    garbage_content.write_folders(root, _REPOSITORIES, each)
    print(f"folders written in {time.perf_counter() - started:.0f} s", flush=True)
    bench.python(
        "from pathlib import Path; from benchmarks import garbage_content;"
        f"garbage_content.write_rows(Path({str(root)!r}), Path({str(bench.home / 'registry')!r}),"
        f" {_REPOSITORIES}, {each});"
        "print('done')"
    )
    print(f"rows written after {time.perf_counter() - started:.0f} s", flush=True)


def _tokens(bench: Bench) -> dict[str, str]:
    """A token for each repository, and under no name one that pushes and collects."""
    found: dict[str, str] = json.loads(
        bench.python(
            "import json; from benchmarks.garbage_content import tokens;"
            f"print(json.dumps(tokens({_REPOSITORIES})))"
        )
    )
    return found


def _delete(server: Server, tokens: dict[str, str], numbers: list[int]) -> int:
    """Delete these images of each repository; how many that were."""
    for repository in range(_REPOSITORIES):
        name = garbage_content.name_of(repository)
        client = Client(server, tokens[name])
        for number in numbers:
            image = garbage_content.image_of(repository, number)
            client.timed("DELETE", f"/v2/{name}/manifests/{image.digest}")
    return _REPOSITORIES * len(numbers)


def _collect(server: Server, token: str) -> float:
    """Seconds until nothing is due any more."""
    client = Client(server, token)
    total = 0.0
    while True:
        seconds, body = client.timed_json("POST", f"/gitlab/v1/garbage/reviews/?n={_STEP}")
        total += seconds
        if not body["left_due"]:
            return total


def _blobs(folder: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(folder))


def _collections(
    bench: Bench, options: argparse.Namespace, each: int, numbers: Iterator[int]
) -> Row:
    ours_blobs = bench.home / "registry" / "blobs"
    theirs_blobs = bench.folder / "docker-registry" / "docker" / "registry" / "v2" / "blobs"
    tokens = _tokens(bench)
    mine, other = [], []
    for _ in range(options.rounds):
        chosen = list(itertools.islice(numbers, max(1, each // 100)))
        before = _blobs(ours_blobs), _blobs(theirs_blobs)
        with running(bench.berth("registry")) as berth:
            _delete(berth, tokens, chosen)
            os.sync()
            mine.append(_collect(berth, tokens[""]))
        with running(bench.docker_registry(realm=berth)) as server:
            deleted = _delete(server, tokens, chosen)
        os.sync()
        started = time.perf_counter()
        subprocess.run(
            ["docker-registry", "garbage-collect", str(bench.folder / "docker-registry.yml")],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            check=True,
        )
        other.append(time.perf_counter() - started)
        gone = before[0] - _blobs(ours_blobs), before[1] - _blobs(theirs_blobs)
        # A configuration and a layer each; docker-registry keeps manifests among the blobs.
        if gone != (2 * deleted, 3 * deleted):
            raise RuntimeError(f"{deleted} images deleted, and files gone: {gone}")
        print(
            f"{deleted} of {options.images} images: Berth {mine[-1]:.2f} s,"
            f" docker-registry {other[-1]:.2f} s",
            flush=True,
        )
    ratios = [theirs / ours for ours, theirs in zip(mine, other, strict=True)]
    return {
        "work": f"collect 1 % of {options.images:,} images",
        "goal": GOAL,
        "ours": round(statistics.median(mine), 3),
        "theirs": round(statistics.median(other), 3),
        "unit": "s",
        "ratios": [round(ratio, 3) for ratio in ratios],
        "median": round(statistics.median(ratios), 3),
    }


def _latencies(
    bench: Bench, options: argparse.Namespace, each: int, numbers: Iterator[int]
) -> list[Row]:
    tokens = _tokens(bench)
    found: dict[bool, list[float]] = {False: [], True: []}
    with running(bench.berth("registry")) as collector:
        # Pushes go to a process with a grace, or their blobs would be garbage before the manifest.
        bench.environment["BERTH__GC_REVIEW_DELAY"] = "1h"
        with running(bench.berth("registry")) as berth:
            # What a first request loads is no latency.
            _pushes(berth, tokens[""], 2, collector=None)
            for _ in range(options.rounds):
                found[False] += _pushes(berth, tokens[""], options.seconds, collector=None)
                _delete(collector, tokens, list(itertools.islice(numbers, max(1, each // 50))))
                os.sync()
                found[True] += _pushes(berth, tokens[""], options.seconds, collector=collector)
    rows: list[Row] = []
    for percent in (50, 95, 99):
        without, during = (
            statistics.quantiles(found[kind], n=100)[percent - 1] * 1000 for kind in (False, True)
        )
        print(f"a push, p{percent}: {without:.1f} ms, while collecting {during:.1f} ms", flush=True)
        rows.append(
            {
                "work": f"a push while collecting, against without, p{percent}",
                "goal": 0.5,
                "ours": round(during, 1),
                "theirs": round(without, 1),
                "unit": "ms",
                "ratios": [round(without / during, 3)],
                "median": round(without / during, 3),
            }
        )
    print(f"{len(found[False])} pushes without, {len(found[True])} while collecting")
    return rows


def _pushes(server: Server, token: str, seconds: float, *, collector: Server | None) -> list[float]:
    """Seconds of each push by four clients: for `seconds`, or until `collector` has no more
    to do.
    """
    found: list[float] = []
    failures: list[BaseException] = []
    ended = threading.Event()
    threads = [
        threading.Thread(target=_push, args=(server, token, ended, found, failures))
        for _ in range(_PUSHERS)
    ]
    for thread in threads:
        thread.start()
    if collector is None:
        time.sleep(seconds)
    else:
        _collect_for(collector, token, seconds)
    ended.set()
    for thread in threads:
        thread.join()
    if failures:
        raise RuntimeError(f"a push failed: {failures[0]}")
    return found


def _push(
    server: Server,
    token: str,
    ended: threading.Event,
    found: list[float],
    failures: list[BaseException],
) -> None:
    """Push small images until it is ended; how long each took is added to `found`."""
    client = Client(server, token)
    try:
        while not ended.is_set():
            config, layer = os.urandom(500), os.urandom(20_000)
            started = time.perf_counter()
            for body in (config, layer):
                client.push_blob("bench/push", body, digest_of(body), chunked=False)
            client.push_manifest("bench/push", "latest", config, [layer])
            found.append(time.perf_counter() - started)
    except BaseException as error:  # noqa: BLE001
        failures.append(error)


def _collect_for(server: Server, token: str, seconds: float) -> None:
    client = Client(server, token)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        _, body = client.timed_json("POST", f"/gitlab/v1/garbage/reviews/?n={_STEP}")
        if not body["left_due"]:
            return


if __name__ == "__main__":
    main()
