"""The pages' times: ``python -m benchmarks.pages [--database postgresql://…/{}]``.

Seeds 300 people in a group, 1,000 projects with an image each, and an image of 5,000 tags; prints
the median time of each page over HTTP and how large it is as it comes, compressed. Asked by an
administrator, who sees all of it. ``{}`` in the database's URL stands for ``gitlab``, ``registry``.
"""

from __future__ import annotations

import argparse
import http.client
import statistics
import tempfile
import time
from pathlib import Path

from benchmarks.servers import Bench, Server, running

_ROUNDS = 10
TAGS = 5_000
"""In one image."""

_LIMIT = 100.0
"""Milliseconds that each may take at the median."""

_OF_TAGS = (80.0, 40 * 1024)
"""And a page of tags, with the bytes that may travel."""

_SEED = """
from importlib import import_module
from django.conf import settings
from django.contrib.auth import SESSION_KEY, BACKEND_SESSION_KEY, HASH_SESSION_KEY
from gitlab.accounts import services as accounts
from gitlab.accounts.models import User
from gitlab.container_registry.models import ContainerRepository
from gitlab.namespaces import services
from gitlab.namespaces.models import Member, Project, Route
root = User.objects.get(username="root")
User.objects.bulk_create(
    User(username=f"person{n:03}", email=f"p{n}@example.com", name=f"Person {n}")
    for n in range(300)
)
people = list(User.objects.filter(username__startswith="person"))
groups = [services.create_group(root, path=f"g{n:03}") for n in range(100)]
Member.objects.bulk_create(
    Member(user=each, namespace=groups[0], access_level=10 + 10 * (n % 4))
    for n, each in enumerate(people)
)
Project.objects.bulk_create(
    Project(namespace=groups[n % 100], path=f"p{n:04}", name=f"p{n:04}",
            full_path=f"g{n % 100:03}/p{n:04}", visibility="internal")
    for n in range(1000)
)
made = list(Project.objects.filter(path__startswith="p"))
Route.objects.bulk_create(Route(full_path=p.full_path, project=p) for p in made)
ContainerRepository.objects.bulk_create(
    ContainerRepository(project=p, path=p.full_path) for p in made
)
seed = services.create_group(root, path="seed")
large = services.create_project(root, namespace=seed, path="large")
image = ContainerRepository.objects.create(project=large, path="seed/large")
session = import_module(settings.SESSION_ENGINE).SessionStore()
session[SESSION_KEY] = str(root.pk)
session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
session[HASH_SESSION_KEY] = root.get_session_auth_hash()
session.save()
from django.db import connection
connection.cursor().execute("ANALYZE")
print(image.pk, f"{settings.SESSION_COOKIE_NAME}={session.session_key}")
"""


def main() -> None:
    """Seed, measure, print; fails where something takes longer, or is larger, than it may."""
    parser = argparse.ArgumentParser(prog="benchmarks.pages")
    parser.add_argument("--database", help="postgresql://…/{}, for gitlab and registry")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="pages-") as folder:
        bench = Bench(Path(folder))
        if options.database:
            for side, key in (("gitlab", ""), ("registry", "REGISTRY_")):
                bench.environment[f"BERTH__{key}DATABASE_URL"] = options.database.format(side)
        image, cookie = seeded(bench)
        with running(bench.berth("registry")) as registry:
            bench.environment["GITLAB_RAILS__REGISTRY_API_URL"] = registry.address
            with running(bench.berth("web")) as web:
                figures = {path: _measured(web, cookie, path) for path in _pages(image)}
    slow = []
    for path, (milliseconds, size) in figures.items():
        print(f"{path:<88} {milliseconds:7.1f} ms {size / 1024:7.1f} KB")
        most, largest = _OF_TAGS if path.startswith(_list_of(image)) else (_LIMIT, 1e9)
        if milliseconds > most or size > largest:
            slow.append(path)
    if slow:
        raise SystemExit(f"too slow or too large: {', '.join(slow)}")


def seeded(bench: Bench) -> tuple[str, str]:
    """Prepare and seed an installation: the image of `TAGS` tags by its id, and a cookie."""
    bench.manage("prepare")
    bench.manage("registry_seed", "--repositories=100", f"--tags={TAGS}", "--blobs=1000")
    image, cookie = bench.python(_SEED).split()
    return image, cookie


def _measured(web: Server, cookie: str, path: str) -> tuple[float, int]:
    """The median in milliseconds, and the bytes of the body as they travel."""
    connection = http.client.HTTPConnection("127.0.0.1", web.port, timeout=60)
    headers = {"Cookie": cookie, "Accept-Encoding": "gzip", "Sec-Fetch-Site": "same-origin"}
    times, size = [], 0
    for _ in range(_ROUNDS + 2):
        began = time.perf_counter()
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        size = len(response.read())
        times.append(time.perf_counter() - began)
        if response.status != 200:
            raise RuntimeError(f"{path}: {response.status}")
    return statistics.median(times[2:]) * 1000, size


def _list_of(image: str) -> str:
    return f"/seed/large/container_registry/{image}"


def _pages(image: str) -> list[str]:
    tags = _list_of(image)
    middle = f"v{TAGS // 2:06}"
    return [
        "/",
        "/dashboard/projects",
        "/dashboard/projects?sort=-updated_at",
        "/dashboard/projects?q=p0001",
        "/groups/g000/-/activity",
        "/g000/p0000/-/activity",
        "/explore/projects",
        "/dashboard/groups",
        "/dashboard/groups?sort=-updated_at",
        "/g000",
        "/groups/g000/-/group_members",
        "/groups/g000/-/group_members?sort=-level",
        "/groups/g000/-/group_members?q=person29",
        "/g000/p0000",
        "/g000/p0000/container_registry",
        "/g000/p0000/container_registry?sort=-pushed",
        "/seed/large/container_registry",
        "/seed/large/container_registry/deleted",
        tags,
        *(
            f"{tags}?sort={sort}&last={middle}"
            for sort in ("version", "-created_at", "-size_bytes", "last_pulled_at")
        ),
        f"{tags}?q=123",
        f"{tags}?q=v.*77&match=pattern&sort=version",
        f"{tags}?platform=linux/arm64",
        f"/seed/large/container_registry/{image}/tags/{middle}",
    ]


if __name__ == "__main__":
    main()
