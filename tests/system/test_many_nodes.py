"""Two nodes of each kind behind nginx: PostgreSQL, Redis (broker and cache) and an S3 store are
shared.

Each of the two installations has a web, a registry and a worker process, its own state folder, and
of the other nothing but what docs/deployment.md says that nodes share.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.e2e import certificates, components, images
from tests.e2e.clients import Skopeo
from tests.e2e.components import free_port
from tests.e2e.images import digest_of
from tests.e2e.installation import Installation, wait_until
from tests.e2e.postgresql import Server
from tests.e2e.proxies import GITLAB, REGISTRY, Machine, Proxy, settings_behind
from tests.e2e.redis_server import RedisServer
from tests.e2e.seaweedfs import SeaweedFS
from tests.e2e.wire import Wire
from tests.faults import nodes
from tests.faults.load import Journal, Load, Registry, verify, violations

pytestmark = [
    pytest.mark.system,
    pytest.mark.engineless,
    pytest.mark.xdist_group("many nodes"),
]

SHARED = ("keys", "secrets")
"""What is carried from the first node to the others."""


@dataclass
class Cluster:
    """Both nodes, what they share, and the proxy before them."""

    one: Installation
    two: Installation
    proxy: Proxy
    redis: RedisServer

    database: Server

    def knows(self, project: str) -> bool:
        """Whether GitLab has an image in one of root's projects."""
        with psycopg.connect(
            host=str(self.database.folder), user="postgres", dbname="many_gitlab"
        ) as connection:
            found = connection.execute(
                "SELECT 1 FROM container_registry_containerrepository AS image"
                " JOIN namespaces_project AS project ON project.id = image.project_id"
                " WHERE project.full_path = %s",
                [f"root/{project}"],
            )
            return found.fetchone() is not None

    @property
    def pair(self) -> tuple[Installation, Installation]:
        """Both."""
        return self.one, self.two


def registry_of(node: Installation) -> str:
    """The address of one node's own registry."""
    return f"http://{node.settings['REGISTRY__REGISTRY_HTTP_ADDR']}"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory, s3: SeaweedFS) -> Iterator[Cluster]:
    for component in ("postgresql", "redis", "nginx"):
        components.require(component)
    folder = tmp_path_factory.mktemp("many-nodes")
    made = certificates.make(folder / "certificates", GITLAB, REGISTRY)
    database, redis, port = Server(), RedisServer(folder / "redis"), free_port()
    with pytest.MonkeyPatch.context() as patch:
        real = socket.getaddrinfo

        def found(host: Any, *arguments: Any, **options: Any) -> Any:
            return real("127.0.0.1" if host in (GITLAB, REGISTRY) else host, *arguments, **options)

        patch.setattr(socket, "getaddrinfo", found)
        made_nodes: list[Installation] = []
        proxy: Proxy | None = None
        try:
            database.start()
            redis.start()
            shared = {
                **nodes.databases(database, "many", empty=True),
                **s3.settings("many-nodes"),
                # Longer than a push takes on a machine that is busy.
                **nodes.QUICK,
                "BERTH__GC_REVIEW_DELAY": "5m",
                "BERTH__BROKER_URL": redis.url(0),
                "BERTH__CACHE_URL": redis.url(1),
                "BERTH__REGISTRY_CA_BUNDLE": str(made.authority),
                "REGISTRY__STORAGE__ACCEL_PREFIX": "/-/store",
            }
            made_nodes += [
                Installation(
                    folder / name, **settings_behind(port, free_port(), free_port()), **shared
                )
                for name in ("one", "two")
            ]
            one, two = made_nodes
            _share_secrets(one, two)
            # At the same time, on empty databases.
            with ThreadPoolExecutor() as pool:
                list(pool.map(lambda node: node.start(), made_nodes))
            proxy = Proxy("nginx", folder / "proxy", port, made, one, _both(one, two, s3))
            proxy.start()
            yield Cluster(one, two, proxy, redis, database)
        finally:
            if proxy is not None:
                proxy.stop()
            for node in made_nodes:
                node.discard()
            redis.stop()
            database.stop()


def _share_secrets(one: Installation, two: Installation) -> None:
    """Made on one node, without a database, and carried."""
    keys = one.home / "keys"
    keys.mkdir(parents=True)
    one.manage("generate_keys", "--out", str(keys))
    secrets = one.home / "secrets"
    secrets.mkdir(mode=0o700)
    for name in ("secret_key", "http_secret", "events_secret"):
        (secrets / name).write_text(f"{name}-of-many-nodes-{'x' * 40}")
        (secrets / name).chmod(0o600)
    for folder in SHARED:
        shutil.copytree(one.home / folder, two.home / folder)


def _both(one: Installation, two: Installation, s3: SeaweedFS) -> dict[str, str]:
    changed = {"127.0.0.1:8333": s3.endpoint.partition("://")[2]}
    for name in ("BERTH__WEB_HTTP_ADDR", "REGISTRY__REGISTRY_HTTP_ADDR"):
        line = f"server {one.settings[name]};"
        changed[line] = f"{line} server {two.settings[name]};"
    return changed


def test_both_prepared_the_same_databases_at_once(cluster: Cluster) -> None:
    said = "".join(node.log() for node in cluster.pair)
    assert said.count("Made the administrator root") == 1
    assert "Traceback" not in said


def test_a_client_pushes_and_pulls(cluster: Cluster, tmp_path: Path) -> None:
    """skopeo sends its requests over several connections, so each layer's may meet either node."""
    for component in ("skopeo", "own-names"):
        components.require(component)
    authority, registry = cluster.proxy.certificates.authority, cluster.one.registry
    skopeo = Skopeo(tmp_path / "skopeo", Machine(tmp_path / "machine", authority, registry).prefix)
    trusted = f"cert-dir={authority.parent}"
    skopeo.login(registry, "root", cluster.one.root_password, f"--{trusted}")
    there = images.write_layout(tmp_path / "there", images.many_layers(20))
    name = f"docker://{registry}/root/app:skopeo"
    skopeo("copy", f"--dest-{trusted}", f"oci:{there}", name)
    skopeo("copy", f"--src-{trusted}", name, f"oci:{tmp_path}/back")
    assert images.layout_blobs(tmp_path / "back") == images.layout_blobs(there)
    served = [node.log() for node in cluster.pair]
    assert all("Traceback" not in log for log in served)


def test_an_upload_goes_from_node_to_node(cluster: Cluster) -> None:
    """POST, each PATCH and PUT at another one; where it stands, each of them knows."""
    content = images.layer({"file": b"across the nodes\n" * 300_000})
    third = len(content) // 3
    token = cluster.one.token("repository:root/across:pull,push")
    clients = [
        httpx.Client(
            base_url=registry_of(node), headers={"Authorization": f"Bearer {token}"}, timeout=60
        )
        for node in cluster.pair
    ]
    one, two = clients
    location = one.post("/v2/root/across/blobs/uploads/").headers["Location"]
    for client, piece in ((two, content[:third]), (one, content[third : 2 * third])):
        sent = client.patch(location, content=piece)
        assert sent.status_code == 202, sent.text
        location = sent.headers["Location"]
        for asked in clients:
            assert asked.get(location).headers["Range"] == sent.headers["Range"]
    done = two.put(
        location, params=_also(location, digest=digest_of(content)), content=content[2 * third :]
    )
    assert done.status_code == 201, done.text
    for client in clients:
        head = client.head(f"/v2/root/across/blobs/{digest_of(content)}")
        assert (head.status_code, head.headers["Content-Length"]) == (200, str(len(content)))
    with Wire(cluster.one, "root/across") as wire:
        assert wire.get(f"blobs/{digest_of(content)}").content == content
    for client in clients:
        client.close()


def _also(location: str, **more: str) -> dict[str, str]:
    return {**httpx.URL(location).params, **more}


def test_nginx_fetches_blobs_from_the_store(cluster: Cluster) -> None:
    content = images.layer({"file": b"something to read\n" * 500})
    digest = digest_of(content)
    with Wire(cluster.one, "root/app") as wire:
        wire.push_blob(content)
        whole = wire.get(f"blobs/{digest}")
        part = wire.http.get(f"blobs/{digest}", headers={"Range": "bytes=5-14"})
        past = wire.http.get(f"blobs/{digest}", headers={"Range": "bytes=99999999-"})
        same = wire.http.get(
            f"blobs/{digest}", headers={"Range": "bytes=5-14", "If-Range": f'"{digest}"'}
        )
    assert whole.content == content
    assert [(one.status_code, one.content) for one in (part, same)] == [(206, content[5:15])] * 2
    assert (past.status_code, past.json()["errors"][0]["code"]) == (416, "RANGE_INVALID")
    for answer in (whole, part):
        names = [name.lower() for name, _ in answer.headers.multi_items()]
        assert sorted(names) == sorted(set(names))
        assert answer.headers["Docker-Content-Digest"] == digest
        assert answer.headers["ETag"] == f'"{digest}"'
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert "immutable" in answer.headers["Cache-Control"]
        assert answer.headers["X-Request-Id"]
        assert not {"last-modified", "x-accel-redirect", "set-cookie"} & set(names)
        assert [name for name in names if name.startswith("x-")] == [
            "x-content-type-options",
            "x-request-id",
        ]
    address = f"{cluster.one.registry_url}/-/store/registry/many-nodes/blobs/"
    assert httpx.get(address, verify=cluster.one.verify).status_code == 404


def test_a_blob_that_the_store_has_lost(cluster: Cluster, s3: SeaweedFS) -> None:
    """In the protocol's form, with nothing of the store's own in it, and kept by no cache."""
    content = b"soon lost"
    digest = digest_of(content)
    with Wire(cluster.one, "root/lost") as wire:
        wire.push_blob(content)
        key = next(key for key in s3.objects("many-nodes/blobs/") if key.endswith(digest[7:]))
        s3.client().delete_object(Bucket="registry", Key=key)
        answer = wire.http.get(f"blobs/{digest}")
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (404, "BLOB_UNKNOWN")
        assert answer.headers["Content-Type"] == "application/json"
        assert "immutable" not in answer.headers.get("Cache-Control", "")
        # Whoever has it pushes it again.
        wire.push_blob(content)
        assert wire.get(f"blobs/{digest}").content == content


def test_redis_is_the_broker_and_the_cache(cluster: Cluster) -> None:
    cluster.two.token("repository:root/app:pull")
    assert any(b"verified-password" in key for key in cluster.redis.client(1).scan_iter())
    assert cluster.redis.client(0).exists("_kombu.binding.berth")
    for node in cluster.pair:
        assert not (node.home / "broker" / "queue").exists()
        assert "canary-secret-of-redis" not in node.log()


def test_without_redis_pushes_go_on_and_deletions_wait(cluster: Cluster) -> None:
    """The cache saves time, and the broker only rings: what was asked for meanwhile is done
    later.
    """
    Registry(cluster.one, ("root/later",)).push_image("root/later", "1", [b"a layer"])
    wait_until(lambda: cluster.knows("later"), timeout=60)
    cluster.redis.stop()
    try:
        status, _ = Registry(cluster.one).push_image("root/load0", "no-redis", [b"another layer"])
        assert status == 201
        cluster.one.run_python(
            "from gitlab.accounts.models import User\n"
            "from gitlab.container_registry import deletion\n"
            "from gitlab.container_registry.models import ContainerRepository\n"
            "image = ContainerRepository.objects.get(project__full_path='root/later')\n"
            "deletion.schedule(User.objects.get(username='root'), image)\n"
        )
        for node in cluster.pair:
            wait_until(lambda node=node: readiness(node) == 503, timeout=60)
        assert cluster.knows("later")
    finally:
        cluster.redis.start()
    for node in cluster.pair:
        wait_until(lambda node=node: readiness(node) == 200, timeout=60)
    # The schedule rings, and either worker takes it.
    wait_until(lambda: not cluster.knows("later"), timeout=120)


def readiness(node: Installation) -> int:
    """Of one node's own web process."""
    address = f"http://{node.settings['BERTH__WEB_HTTP_ADDR']}/-/readiness"
    return httpx.get(address, timeout=30).status_code


def test_a_node_dies_under_load(cluster: Cluster, tmp_path: Path) -> None:
    """Nothing that was acknowledged is lost, and the others' retries succeed while it is away."""
    journal = Journal(tmp_path / "journal")
    with Load(cluster.one, journal, seed=3, clients=4) as load:
        wait_until(lambda: load.counts["writes"] > 10, timeout=90)
        _kill(cluster.two)
        written = load.counts["writes"]
        pushed = wait_until(lambda: _pushed(cluster), timeout=60)
        wait_until(lambda: load.counts["writes"] > written + 10, timeout=90)
    assert load.faults == []
    assert violations(cluster.one, journal) == []
    assert Registry(cluster.one).pull("root/load1", "retried") == pushed
    assert verify(cluster.one) == []


def _pushed(cluster: Cluster) -> str:
    """What a client does: try again from the start until it is through; its digest then."""
    with suppress(httpx.HTTPError):
        status, digest = Registry(cluster.one).push_image("root/load1", "retried", [b"retried"])
        return digest if status == 201 else ""
    return ""


def _kill(node: Installation) -> None:
    """kill -9 of everything that works for a node."""
    while left := node.processes():
        for pid in left:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
    node.wait()
