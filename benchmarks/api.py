"""The REST API's lists and objects: ``python -m benchmarks.api [--database postgresql://…/{}]``.

Seeds 10,000 projects in 20 groups and an image of many tags, and prints the median time of each
request over HTTP, asked by somebody who belongs to half of the groups. ``{}`` in the database's URL
stands for ``gitlab`` and ``registry``.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.loads import Client
from benchmarks.servers import Bench, running

_ROUNDS = 30
_PROJECTS = 10_000
_TAGS = 10_000
_LIMIT = 50.0
"""Milliseconds that each may take at the median."""

_SEED = f"""
from gitlab.access_tokens import services as tokens
from gitlab.accounts import services as accounts
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import services
from gitlab.namespaces.models import Member, Project, Route
alice = accounts.create_user(username="alice", email="alice@example.com", password=None)
groups = [services.create_group(alice, path=f"g{{n}}") for n in range(20)]
Member.objects.filter(namespace__in=groups[1::2]).delete()
Project.objects.bulk_create(
    Project(namespace=groups[n % 20], path=f"p{{n:05}}", name=f"p{{n:05}}",
            full_path=f"g{{n % 20}}/p{{n:05}}", visibility=("private", "public")[n % 3 == 0])
    for n in range({_PROJECTS})
)
Route.objects.bulk_create(
    Route(full_path=p.full_path, project=p) for p in Project.objects.filter(path__startswith="p")
)
seed = services.create_group(alice, path="seed")
large = services.create_project(alice, namespace=seed, path="large")
image = ContainerRepository.objects.create(project=large, path="seed/large")
from django.db import connection
connection.cursor().execute("ANALYZE")
print(large.pk, image.pk, tokens.create(alice, name="bench", scopes=["api"])[1])
"""


def main() -> None:
    """Seed, measure, print; fails where something takes longer than it may."""
    parser = argparse.ArgumentParser(prog="benchmarks.api")
    parser.add_argument("--database", help="postgresql://…/{}, for gitlab and registry")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="api-") as folder:
        bench = Bench(Path(folder))
        if options.database:
            for side, key in (("gitlab", ""), ("registry", "REGISTRY_")):
                bench.environment[f"BERTH__{key}DATABASE_URL"] = options.database.format(side)
        bench.manage("prepare")
        bench.manage("registry_seed", "--repositories=100", f"--tags={_TAGS}", "--blobs=1000")
        project, image, token = bench.python(_SEED).split()
        with running(bench.berth("registry")) as registry:
            bench.environment["GITLAB_RAILS__REGISTRY_API_URL"] = registry.address
            with running(bench.berth("web")) as web:
                client = Client(web, token)
                figures = {
                    path: client.median_ms(f"/api/v4/{path}", _ROUNDS)
                    for path in _requests(project, image)
                }
    for path, milliseconds in figures.items():
        print(f"{path:<90} {milliseconds:7.1f} ms")
    slow = [path for path, milliseconds in figures.items() if milliseconds > _LIMIT]
    if slow:
        raise SystemExit(f"more than {_LIMIT:g} ms: {', '.join(slow)}")


def _requests(project: str, image: str) -> list[str]:
    tags = f"projects/{project}/registry/repositories/{image}/tags"
    return [
        "projects/g0%2Fp00000",
        "projects?per_page=100",
        "projects?per_page=100&page=50",
        "projects?per_page=100&pagination=keyset&order_by=id&sort=asc",
        "projects?per_page=100&membership=true",
        "projects?per_page=100&search=p0001",
        "groups?per_page=100",
        f"registry/repositories/{image}?tags_count=true",
        "groups/seed/registry/repositories?tags_count=true",
        f"{tags}?per_page=100",
        f"{tags}?per_page=100&pagination=keyset&last=v{_TAGS // 2:06}",
        f"{tags}/v{_TAGS // 2:06}",
        f"{tags}/v{_TAGS // 2:06}/referrers",
        f"projects/{project}/transfer_locations?per_page=100",
        f"projects/{project}/users?per_page=100",
        "personal_access_tokens/self/associations?per_page=100",
        "registry/scope?scope=repository:seed/large:pull,push,delete",
        "user",
    ]


if __name__ == "__main__":
    main()
