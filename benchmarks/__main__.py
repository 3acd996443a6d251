"""Run the comparison: ``python -m benchmarks [--quick] [--only WORD] [--out FILE]``.

Both servers run at the same time and are loaded in turn, one round after the other, so that what
else the machine does falls on both. A ratio above 1 means that Berth is better.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from benchmarks import loads, memory, nginx, seeding, works
from benchmarks.docker_images import Docker
from benchmarks.seeding import MIB
from benchmarks.servers import Bench, Server, missing_programs, running
from benchmarks.table import RESULTS
from benchmarks.works import Work

Row = dict[str, object]

_NAMES = ("bench/app", "bench/push", "bench/many", "seed/large")


def main() -> int:
    """Measure, print the table, write the results."""
    parser = argparse.ArgumentParser(prog="benchmarks")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds")
    parser.add_argument("--only", default="", help="only works whose name matches this")
    parser.add_argument("--out", type=Path, help="default: benchmarks/results….json")
    parser.add_argument("--database", help="postgresql://… for the registry (default: SQLite)")
    parser.add_argument("--gitlab-database", help="postgresql://… for GitLab (default: SQLite)")
    parser.add_argument("--folder", type=Path, help="where the servers keep their data")
    options = parser.parse_args()
    engine = "PostgreSQL" if options.database else "SQLite"
    out = options.out or RESULTS[engine]
    if missing := missing_programs():
        print(f"Missing: {', '.join(missing)}. Install them first.", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(dir=options.folder, prefix="bench-") as folder:
        bench = Bench(
            Path(folder), database=options.database, gitlab_database=options.gitlab_database
        )
        bench.manage("prepare")
        rows = [
            *_registry(bench, options),
            *_token_server(bench, options),
            *_behind_nginx(bench, options),
            *_memory(bench, options),
        ]
    loads.write_results(out, rows)
    return 0


def _rounds(options: argparse.Namespace) -> tuple[int, float]:
    return (3, 2.0) if options.quick else (5, 4.0)


def _registry(bench: Bench, options: argparse.Namespace) -> list[Row]:
    rounds, seconds = _rounds(options)
    seeding.seed_rows(bench)
    token = bench.token(*_NAMES)
    with ExitStack() as stack:
        web = stack.enter_context(running(bench.berth("web")))
        ours = stack.enter_context(running(bench.berth("registry", realm=web)))
        theirs = stack.enter_context(running(bench.docker_registry(realm=web)))
        for server in (ours, theirs):
            seeding.push(server, token)
        seeding.seed_folders(bench, theirs, token)
        todo = works.of_the_registry(token, seconds)
        chosen = [w for w in todo if re.search(options.only, w.name)]
        rows = [_compare(w, ours, theirs, rounds) for w in chosen]
        if options.only in "docker push pull" and shutil.which("dockerd") and os.geteuid() == 0:
            docker = Docker(bench)
            stack.callback(docker.stop)
            for server in (ours, theirs):
                docker.login(server, "root", bench.environment["GITLAB_ROOT_PASSWORD"])
            rows += [_compare(w, ours, theirs, rounds) for w in works.of_docker(docker)]
    return rows


def _token_server(bench: Bench, options: argparse.Namespace) -> list[Row]:
    rounds, seconds = _rounds(options)
    work = works.of_the_token_server(_access_token(bench), seconds)
    if options.only not in work.name:
        return []
    with ExitStack() as stack:
        ours = stack.enter_context(running(bench.berth("web")))
        empty = stack.enter_context(running(bench.berth("web", application="benchmarks.empty")))
        empty.name = "empty view"
        return [_compare(work, ours, empty, rounds)]


def _behind_nginx(bench: Bench, options: argparse.Namespace) -> list[Row]:
    rounds, seconds = _rounds(options)
    token = bench.token(*_NAMES)
    work = nginx.work(token, loads.digest_of(seeding.BIG), seconds)
    if options.only not in work.name:
        return []
    bench.environment["REGISTRY__STORAGE__ACCEL_PREFIX"] = nginx.PREFIX
    with running(bench.berth("registry")) as berth:
        seeding.push(berth, token)
        front, plain = nginx.start(bench, berth)
        with running(front):
            rows = [_compare(work, front, plain, rounds)]
    del bench.environment["REGISTRY__STORAGE__ACCEL_PREFIX"]
    return rows


def _memory(bench: Bench, options: argparse.Namespace) -> list[Row]:
    if options.only not in "memory":
        return []
    token = bench.token(*_NAMES)
    large = (1 if options.quick else 4) * 1024 * MIB
    rows = []
    with running(bench.berth("registry")) as server:
        seeding.push(server, token)  # What a first request loads is no growth.
        for name, goal, load in (
            ("memory: one 4 GB upload", 32, lambda: memory.one_large_upload(server, token, large)),
            (
                "memory: 32 uploads of 256 MB",
                64,
                lambda: memory.many_uploads(server, token, 256 * MIB, 32),
            ),
        ):
            grown = memory.growth(server, load)
            mark = "ok  " if grown < goal else "MISS"
            print(f"{mark} {name:<32} {grown:>8.1f} MiB a process (goal below {goal})", flush=True)
            rows.append(
                {
                    "work": name,
                    "goal": goal,
                    "ours": round(grown, 1),
                    "theirs": None,
                    "unit": "MiB",
                    "ratios": [],
                    "median": None,
                }
            )
    return rows


def _access_token(bench: Bench) -> str:
    return bench.python(
        "from gitlab.accounts.models import User; from gitlab.access_tokens import services;"
        "root = User.objects.get(username='root');"
        "print(services.create(root, name='bench', scopes=['api'], by=root)[1])"
    )


def _compare(work: Work, ours: Server, theirs: Server, rounds: int) -> Row:
    is_postgresql = any("DATABASE_URL" in name for name in ours.environment)
    goal = work.postgresql_goal if is_postgresql and work.postgresql_goal else work.goal
    ours_figures, theirs_figures, ratios = [], [], []
    costs: dict[str, list[dict[str, float]]] = {"ours": [], "theirs": []}
    for _ in range(rounds):
        mine = _measured(work, ours, costs["ours"])
        other = _measured(work, theirs, costs["theirs"])
        ours_figures.append(mine)
        theirs_figures.append(other)
        ratios.append(mine / other if work.better == "more" else other / mine)
    median = statistics.median(ratios)
    mark = "ok  " if median >= goal else "MISS"
    print(
        f"{mark} {work.name:<32} {statistics.median(ours_figures):>9.2f}"
        f" {statistics.median(theirs_figures):>9.2f} {work.unit:<11}"
        f"{median:>6.2f}x (goal {goal}x)  " + " ".join(f"{ratio:.2f}" for ratio in ratios),
        flush=True,
    )
    details = {side: _medians(found) for side, found in costs.items() if found}
    for side, figures in details.items():
        print(f"     {side:<7}" + "  ".join(f"{name} {each}" for name, each in figures.items()))
    return {
        "work": work.name,
        "goal": goal,
        "ours": round(statistics.median(ours_figures), 3),
        "theirs": round(statistics.median(theirs_figures), 3),
        "unit": work.unit,
        "ratios": [round(ratio, 3) for ratio in ratios],
        "median": round(median, 3),
        **({"details": details} if details else {}),
    }


def _measured(work: Work, server: Server, costs: list[dict[str, float]]) -> float:
    """The figure of one round. What the requests took and cost is added to `costs`."""
    os.sync()
    before = server.cpu_seconds()
    figure = work.measure(server)
    if isinstance(figure, loads.Measured):
        cpu = (server.cpu_seconds() - before) / figure.count * 1000
        resident = sum(server.resident_mib().values())
        costs.append({**figure.percentiles, "CPU s/1000": cpu, "RSS MiB": resident})
    return figure


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(statistics.median(each[name] for each in found), 2) for name in found[0]}


if __name__ == "__main__":
    sys.exit(main())
