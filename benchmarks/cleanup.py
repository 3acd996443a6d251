"""Cleanups of a large project, and of many: ``python -m benchmarks.cleanup [--database …/{}]``.

Seeds an image of 100,000 tags and 10,000 projects with policies. Prints what planning takes, in the
worker that asks the registry over HTTP: in all, without the registry's share, and its memory; what
a run takes for each batch; and what finding what is due costs. ``{}`` in the database's URL stands
for ``gitlab`` and ``registry``.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from benchmarks.servers import Bench, running

_TAGS = 100_000
_PROJECTS = 10_000
_LIMIT_SECONDS, _LIMIT_MIB = 2.0, 64.0
"""Of planning, without what the registry takes to answer; the memory is the worker's growth."""

_SEED = f"""
from django.utils import timezone
from gitlab.accounts import services as accounts
from gitlab.container_registry.cleanup import services as cleanup
from gitlab.container_registry.cleanup.models import CleanupPolicy
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import services
from gitlab.namespaces.models import Project
alice = accounts.create_user(username="alice", email="alice@example.com", password=None)
seed = services.create_group(alice, path="seed")
large = services.create_project(alice, namespace=seed, path="large")
ContainerRepository.objects.create(project=large, path="seed/large")
cleanup.save_policy(alice, large, rules=[{{"name_regex_delete": ".*", "keep_n": KEEP}}])
many = services.create_group(alice, path="many")
Project.objects.bulk_create(
    Project(namespace=many, path=f"p{{n:05}}", name=f"p{{n:05}}", full_path=f"many/p{{n:05}}")
    for n in range({_PROJECTS})
)
later = timezone.now() + timezone.timedelta(days=1)
CleanupPolicy.objects.bulk_create(
    CleanupPolicy(project=each, enabled=True, next_run_at=later, rules=cleanup.proposed().rules)
    for each in Project.objects.filter(namespace=many)
)
from django.db import connection
connection.cursor().execute("ANALYZE")
print("seeded")
"""

_MEASURE = """
import json, resource, statistics, time, tracemalloc
from django.conf import settings
from gitlab.accounts.models import User
from gitlab.container_registry.cleanup import cadence, plan, requests, runs
from gitlab.container_registry.cleanup.models import CleanupBatch, CleanupRun
from gitlab.container_registry.client import chosen
from gitlab.jobs import enqueue
from gitlab.jobs.leases import Outcome
from gitlab.namespaces.models import Project
enqueue.now = lambda *arguments: None
registry = chosen.for_jobs()
spent = {}
def timed(name):
    real = getattr(registry, name)
    def call(*arguments, **options):
        started = time.perf_counter()
        try:
            return real(*arguments, **options)
        finally:
            spent.setdefault(name, []).append(time.perf_counter() - started)
    setattr(registry, name, call)
for name in ("tag_ages", "freed_by_many", "delete_unmoved"):
    timed(name)
def resident():
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
alice = User.objects.get(username="alice")
large = Project.objects.get(full_path="seed/large")
registry.tags("seed/large", n=1)
spent.clear()
before = resident()
row = requests.request(alice, large)
started, cpu = time.perf_counter(), time.process_time()
outcome = runs.run(row.pk, registry)
whole, used = time.perf_counter() - started, time.process_time() - cpu
assert outcome is Outcome.DONE, outcome
row.refresh_from_db()
found = {
    "tags seen": row.seen_count, "tags that go": row.going_count,
    "planning, s": whole, "of it our own side's CPU, s": used,
    "of it the registry lists tags, s": sum(spent["tag_ages"]),
    "of it the registry's forecast, s": sum(spent.get("freed_by_many", [0])),
    "planning grows the worker by, MiB": resident() - before,
    "kept in the database, MiB": sum(
        len(json.dumps(e)) for e in CleanupBatch.objects.values_list("entries", flat=True)
    ) / 2**20,
}
requests.approve(alice, row)
before = resident()
started = time.perf_counter()
while runs.run(row.pk, registry) is Outcome.MORE:
    pass
row.refresh_from_db()
assert (row.status, row.deleted_count) == ("finished", row.going_count), (row.status, row.failure_reason)
found |= {
    "running, s": time.perf_counter() - started,
    "a batch of 100, ms at the median": 1000 * statistics.median(spent["delete_unmoved"]),
    "running grows the worker by, MiB": resident() - before,
}
def median_ms(call):
    times = []
    for _ in range(30):
        started = time.perf_counter()
        call()
        times.append(time.perf_counter() - started)
    return 1000 * statistics.median(times)
found["finding that nothing is due among 10,000 policies, ms"] = median_ms(cadence.open_due)
found["finding that no run waits, ms"] = median_ms(runs.due)
print(json.dumps(found))
"""


def main() -> None:
    """Seed, measure, print; fails where planning takes more than it may."""
    parser = argparse.ArgumentParser(prog="benchmarks.cleanup")
    parser.add_argument("--database", help="postgresql://…/{}, for gitlab and registry")
    parser.add_argument("--tags", type=int, default=_TAGS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="cleanup-") as folder:
        bench = Bench(Path(folder))
        if options.database:
            for side, key in (("gitlab", ""), ("registry", "REGISTRY_")):
                bench.environment[f"BERTH__{key}DATABASE_URL"] = options.database.format(side)
        bench.manage("prepare")
        bench.manage(
            "registry_seed", "--repositories=100", f"--tags={options.tags}", "--blobs=1000"
        )
        bench.python(_SEED.replace("KEEP", str(options.tags // 2)))
        with running(bench.berth("registry")) as registry:
            bench.environment["GITLAB_RAILS__REGISTRY_API_URL"] = registry.address
            found = json.loads(bench.python(_MEASURE))
    for name, value in found.items():
        print(f"{name:<56} {value:>12,.2f}")
    own = found["of it our own side's CPU, s"]
    memory = found["planning grows the worker by, MiB"]
    if own > _LIMIT_SECONDS or memory > _LIMIT_MIB:
        raise SystemExit(f"more than {_LIMIT_SECONDS:g} s or {_LIMIT_MIB:g} MiB")


if __name__ == "__main__":
    main()
