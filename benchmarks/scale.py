"""How lists behave as the registry grows: ``python -m benchmarks.scale [--database URL] [--full]``.

Seeds two registries, the second larger, and prints the median time of each list's page in both: a
page must not cost more because there is more behind it. Then deletes the largest image and collects
it, and prints the time and the memory of the largest step.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
from pathlib import Path

from benchmarks.loads import Client
from benchmarks.servers import Bench, Server, running

_ROUNDS = 30
_SMALL = (100, 1_000, 10_000)
_LARGE = (10_000, 100_000, 1_000_000)
_BATCH = 100


def main() -> None:
    """Seed, measure, print."""
    parser = argparse.ArgumentParser(prog="benchmarks.scale")
    parser.add_argument("--database", help="postgresql://…, with {} for small and large")
    parser.add_argument("--full", action="store_true", help="a million blobs, else a tenth")
    options = parser.parse_args()
    sizes = _LARGE if options.full else tuple(size // 10 for size in _LARGE)
    figures: list[dict[str, float]] = []
    for name, (repositories, tags, blobs) in (("small", _SMALL), ("large", sizes)):
        with tempfile.TemporaryDirectory(prefix=f"scale-{name}-") as folder:
            database = options.database.format(name) if options.database else None
            bench = Bench(Path(folder), database=database)
            bench.environment |= {"BERTH__GC_REVIEW_DELAY": "0", "BERTH__UNDO_WINDOW": "0"}
            bench.manage("prepare")
            bench.manage(
                "registry_seed",
                f"--repositories={repositories}",
                f"--tags={tags}",
                f"--blobs={blobs}",
            )
            with running(bench.berth("registry")) as server:
                figures.append(_pages(server, bench, repositories, tags))
                if name == "large":
                    _delete(server, bench)
    print(f"\n{'page':<36} {'small':>9} {'large':>9}   ms, median of {_ROUNDS}")
    for page, small in figures[0].items():
        print(f"{page:<36} {small:>9.2f} {figures[1][page]:>9.2f}")


def _token(bench: Bench) -> str:
    return bench.python(
        "from tokens.issue import issue; from tokens.access import Access;"
        "print(issue([Access('repository', 'seed/large', ('*',)),"
        " Access('registry', 'catalog', ('*',)), Access('registry', 'garbage', ('*',)),"
        " Access('registry', 'events', ('*',))]).text)"
    )


def _pages(server: Server, bench: Bench, repositories: int, tags: int) -> dict[str, float]:
    client = Client(server, _token(bench))
    middle_tag, middle = f"v{tags // 2:06}", f"seed/{repositories // 2:06}"
    rich = "/gitlab/v1/repositories/seed/large/tags/list/?n=50"
    pages = {
        "tags/list, first": "/v2/seed/large/tags/list?n=100",
        "tags/list, middle": f"/v2/seed/large/tags/list?n=100&last={middle_tag}",
        "tags/list, last": f"/v2/seed/large/tags/list?n=100&last=v{tags - 101:06}",
        "_catalog, middle": f"/v2/_catalog?n=100&last={middle}",
        "manifest by tag": f"/v2/seed/large/manifests/{middle_tag}",
        "rich tags by name, middle": f"{rich}&last={middle_tag}",
        "rich tags by time, middle": f"{rich}&sort=-published_at&last={middle_tag}",
        "rich tags backwards": f"{rich}&before={middle_tag}",
        "history of a tag": f"/gitlab/v1/berth/history/seed/large/?tag={middle_tag}",
        "sub-repositories": "/gitlab/v1/repository-paths/seed/large/repositories/list/",
        "events": "/gitlab/v1/events/",
        "garbage queue": "/gitlab/v1/garbage/",
    }
    return {name: client.median_ms(path, _ROUNDS) for name, path in pages.items()}


def _delete(server: Server, bench: Bench) -> None:
    client = Client(server, _token(bench))
    before = max(server.resident_mib().values())
    deleted = client.timed("DELETE", "/gitlab/v1/repositories/seed/large/")
    steps = []
    while True:
        seconds, body = client.timed_json("POST", f"/gitlab/v1/garbage/reviews/?n={_BATCH}")
        steps.append(seconds)
        if not body["left_due"]:
            break
    grown = max(server.resident_mib().values()) - before
    print(
        f"deleting the largest image: {deleted * 1000:.1f} ms, then {len(steps)} calls of {_BATCH}"
        f" reviews in {sum(steps):.1f} s, the longest {max(steps):.2f} s, the median"
        f" {statistics.median(steps):.2f} s; a process grew by {grown:.1f} MiB"
    )


if __name__ == "__main__":
    main()
