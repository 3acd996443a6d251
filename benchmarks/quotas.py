"""What quotas and the counting of pulls cost: ``python -m benchmarks.quotas [--database …/{}]``.

Seeds a namespace of a million blobs and has it counted by the job's steps. Then small blobs are
pushed and a manifest is pulled by tag, each with and without, in turn on one server, one round
after the other, so that what else the machine does falls on both. ``{}`` in the database's URL
stands for ``gitlab`` and ``registry``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import loads
from benchmarks.loads import Client, digest_of, manifest_of
from benchmarks.servers import Bench, Server, running
from benchmarks.small_writes import blobs

_BLOBS = 1_000_000
_PUSH_GOAL, _PULL_GOAL = 0.95, 0.97
_TAG = "/v2/bench/push/manifests/latest"

_COUNT = """
import json, time
from registry.models import Usage
from registry.quotas import Quota, Quotas
from registry.services import usage

def own_memory():
    # Not the pages of SQLite's file, which are mapped.
    for line in open("/proc/self/status"):
        if line.startswith("RssAnon"):
            return int(line.split()[1]) / 1024

usage.room(Quotas((Quota("seed"),)))
steps, before, most = [], own_memory(), 0
while Usage.objects.filter(counted_to__isnull=False).exists():
    started = time.perf_counter()
    usage.count_some(1)
    steps.append(time.perf_counter() - started)
    most = max(most, own_memory())
found = usage.of(["seed"])["seed"]
print(json.dumps({
    "blobs counted": found.blobs,
    "steps": len(steps),
    "counting, s": sum(steps),
    "the longest step, ms": 1000 * max(steps),
    "counting grows the process by, MiB": most - before,
}))
"""

_TOKENS = """
import json
from tokens.access import Access
from tokens.issue import issue
quota = {"quota": [{"path": "bench", "bytes": 10**15}, {"path": "bench/push", "bytes": 10**15}]}
def token(meta, **who):
    return issue([Access("repository", "bench/push", ("pull", "push"), meta)], **who).text
print(json.dumps({
    "with a quota": token(quota, subject="bench"),
    "without": token({}, subject="bench"),
    # What GitLab's own jobs pull is not counted.
    "uncounted": token({}),
}))
"""


def main() -> None:
    """Seed, measure, print; fails where something costs more than it may."""
    parser = argparse.ArgumentParser(prog="benchmarks.quotas")
    parser.add_argument("--database", help="postgresql://…/{}, for gitlab and registry")
    parser.add_argument("--blobs", type=int, default=_BLOBS)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--seconds", type=float, default=2.0, help="of a round")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="quotas-") as folder:
        bench = Bench(Path(folder))
        if options.database:
            for side, key in (("gitlab", ""), ("registry", "REGISTRY_")):
                bench.environment[f"BERTH__{key}DATABASE_URL"] = options.database.format(side)
        bench.manage("prepare")
        bench.manage(
            "registry_seed", "--repositories=1000", "--tags=1000", f"--blobs={options.blobs}"
        )
        for name, value in json.loads(bench.python(_COUNT)).items():
            print(f"{name:<40} {value:>12,.2f}", flush=True)
        tokens = json.loads(bench.python(_TOKENS))
        with running(bench.berth("registry")) as server:
            slow = _compared(server, tokens, options.rounds, options.seconds)
    if slow:
        raise SystemExit(f"below their goals: {', '.join(slow)}")


def _compared(server: Server, tokens: dict[str, str], rounds: int, seconds: float) -> list[str]:
    _push_an_image(Client(server, tokens["with a quota"]))

    def push(who: str) -> float:
        return blobs(server, tokens[who], clients=1, seconds=seconds)

    def pull(who: str) -> float:
        bearer = f"Bearer {tokens[who]}"
        return loads.wrk(server, _TAG, bearer, connections=16, seconds=seconds)[0]

    return [
        *_ratio("pushing with a quota", push, ("with a quota", "without"), rounds, _PUSH_GOAL),
        *_ratio("pulls that are counted", pull, ("without", "uncounted"), rounds, _PULL_GOAL),
    ]


def _push_an_image(client: Client) -> None:
    config, layer = os.urandom(100), os.urandom(100)
    for content in (config, layer):
        client.push_small("bench/push", content, digest_of(content))
    client.put_manifest("bench/push", "latest", manifest_of(config, [layer]))


def _ratio(
    what: str, measure: Callable[[str], float], sides: tuple[str, str], rounds: int, goal: float
) -> list[str]:
    """Print how one side compares to the other; its name where that is below the goal.

    Which side is first changes with each round: the second may find the disk or the caches warmer.
    """
    figures: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 else sides[::-1]:
            figures[side].append(measure(side))
    ratios = [mine / other for mine, other in zip(*figures.values(), strict=True)]
    median = statistics.median(ratios)
    first, second = (statistics.median(each) for each in figures.values())
    low, high = min(ratios), max(ratios)
    print(
        f"{what:<40} {first:>9.1f} {second:>9.1f} /s {median:>6.3f} (goal {goal})"
        f"  {low:.2f} to {high:.2f}",
        flush=True,
    )
    return [what] if median < goal else []


if __name__ == "__main__":
    main()
