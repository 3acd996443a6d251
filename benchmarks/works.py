"""What is measured, and the goal of each as a ratio to the other side."""

from __future__ import annotations

import base64
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmarks import loads, seeding
from benchmarks.docker_images import Docker
from benchmarks.loads import Measured, Payloads
from benchmarks.seeding import BIG, CONFIG, MIB, REPOSITORIES, TAGS
from benchmarks.servers import Server
from benchmarks.small_writes import blobs, manifests, mounts

Measure = Callable[[Server], float]


@dataclass
class Work:
    """Something that is measured on both sides. `better` says which way a figure is good."""

    name: str
    goal: float
    unit: str
    measure: Measure
    better: str = "more"
    postgresql_goal: float | None = None
    """Where it is another one there."""


def of_the_registry(token: str, seconds: float) -> list[Work]:
    """Pulls, pushes and lists."""
    bearer = f"Bearer {token}"
    big = f"/v2/bench/app/blobs/{loads.digest_of(BIG)}"
    by_digest = f"/v2/bench/app/manifests/{seeding.manifest_digest()}"
    by_tag = "/v2/bench/app/manifests/latest"
    medium, large = Payloads(64 * MIB), Payloads(512 * MIB)

    def rate(path: str, connections: int = 16) -> Measure:
        return lambda server: loads.wrk(
            server, path, bearer, connections=connections, seconds=seconds
        )[0]

    def heads(path: str, status: int = 200) -> Measure:
        return lambda server: loads.heads(
            server, path, token, connections=16, seconds=seconds, status=status
        )

    def volume(server: Server) -> float:
        return loads.volume(server, big, bearer, connections=4, seconds=seconds) / MIB

    def cpu_a_gigabyte(server: Server) -> float:
        before = server.cpu_seconds()
        moved = loads.volume(server, big, bearer, connections=4, seconds=seconds)
        return (server.cpu_seconds() - before) / (moved * seconds / 1024**3)

    def small(load: Callable[..., Measured], **options: Any) -> Measure:
        return lambda server: load(server, token, **options)

    missing = "/v2/bench/app/manifests/not-there"

    def push(payloads: Payloads, *, chunked: bool) -> Measure:
        return lambda server: loads.time_push(server, token, payloads, chunked=chunked)

    tags = "/v2/seed/large/tags/list?n=100"
    middle = f"/v2/_catalog?n=100&last=seed/{REPOSITORIES // 2:06}"

    def challenges(path: str) -> Measure:
        return lambda server: loads.rate(server, path, "", seconds=seconds, status=401)

    return [
        Work("/v2/, 401", 3, "requests/s", challenges("/v2/")),
        Work("manifest GET, 401", 3, "requests/s", challenges(by_tag)),
        Work("manifest GET by tag", 3.2, "requests/s", rate(by_tag)),
        Work("manifest HEAD by tag", 3.2, "requests/s", heads(by_tag)),
        Work("manifest GET by digest", 3.2, "requests/s", rate(by_digest)),
        Work("manifest HEAD by digest", 3.2, "requests/s", heads(by_digest)),
        Work(
            "blob GET 2 KB",
            4,
            "requests/s",
            rate(f"/v2/bench/app/blobs/{loads.digest_of(CONFIG)}"),
        ),
        Work(
            "blob HEAD", 3.2, "requests/s", heads(f"/v2/bench/app/blobs/{loads.digest_of(CONFIG)}")
        ),
        Work(
            "blob HEAD, 404",
            3,
            "requests/s",
            heads(f"/v2/bench/app/blobs/{loads.digest_of(b'none')}", status=404),
        ),
        Work("blob GET 64 MB", 1, "MiB/s", volume),
        Work("blob GET 64 MB, CPU", 1.25, "CPU s/GiB", cpu_a_gigabyte, "less"),
        Work("push 64 MB chunked", 2, "s", push(medium, chunked=True), "less"),
        Work("push 64 MB with length", 2, "s", push(medium, chunked=False), "less"),
        Work("push 512 MB chunked", 1.5, "s", push(large, chunked=True), "less"),
        Work("push 512 MB with length", 1.5, "s", push(large, chunked=False), "less"),
        Work("blob 4 KB, one by one", 1.3, "blobs/s", small(blobs, clients=1, seconds=seconds)),
        Work(
            "blob 4 KB, 8 clients",
            1.3,
            "blobs/s",
            small(blobs, clients=8, seconds=seconds),
            postgresql_goal=1.5,
        ),
        Work("new manifest, new tag", 1.2, "PUT/s", small(manifests, known=False, seconds=seconds)),
        Work(
            "known manifest, new tag", 1.2, "PUT/s", small(manifests, known=True, seconds=seconds)
        ),
        Work("mount", 1.5, "mounts/s", small(mounts)),
        Work(
            "manifest GET, 404",
            3,
            "requests/s",
            lambda server: loads.rate(server, missing, bearer, seconds=seconds, status=404),
        ),
        Work("tags/list first page", 10, "requests/s", rate(tags, 2)),
        Work("tags/list last page", 10, "requests/s", rate(f"{tags}&last=v{TAGS - 101:06}", 2)),
        Work("_catalog middle page", 20, "requests/s", rate(middle, 2)),
    ]


def of_docker(docker: Docker) -> list[Work]:
    """What a person waits for."""
    return [
        Work("docker push, 10 layers", 1.2, "s", docker.time_push, "less"),
        Work("docker pull, 10 layers", 1.2, "s", docker.time_pull, "less"),
    ]


def of_the_token_server(access_token: str, seconds: float) -> Work:
    """A token for one scope; the other side is an empty view on the same server."""
    basic = base64.b64encode(f"root:{access_token}".encode()).decode()

    def measure(server: Server) -> float:
        path = "/jwt/auth?service=container_registry&scope=repository:root/bench:pull,push"
        if server.name == "empty view":
            path = "/"
        # What a process loads with its first requests is none of this.
        loads.wrk(server, path, f"Basic {basic}", connections=4, seconds=1)
        return loads.wrk(server, path, f"Basic {basic}", connections=16, seconds=seconds)[0]

    return Work("/jwt/auth against an empty view", 0.35, "requests/s", measure, postgresql_goal=0.3)
