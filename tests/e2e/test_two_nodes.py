"""The registry on one machine, GitLab on another, clients on a third: three network namespaces.

Each node has its own state folder, database, configuration and certificate. What the registry's
node does not have: the private key, and a way to GitLab's database.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.e2e import certificates, components, images
from tests.e2e.clients import Docker, Refused, Skopeo
from tests.e2e.conftest import Person, person_at
from tests.e2e.installation import PROJECT, wait_until
from tests.e2e.nodes import Network, Node

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("docker")]

GITLAB, REGISTRY = "gitlab.berth.test", "registry.berth.test"
ADDRESSES = (f"https://{GITLAB}", f"https://{REGISTRY}")


@dataclass
class Site:
    """Both nodes and the network between them."""

    network: Network
    gitlab: Node
    registry: Node
    alice: Person


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    components.require("namespaces")
    folder = tmp_path_factory.mktemp("two-nodes")
    made = certificates.make(folder / "certificates", GITLAB, REGISTRY)
    names = {GITLAB: "gitlab", REGISTRY: "registry"}
    with Network(folder / "machines", "gitlab", "registry", "client", names=names) as network:
        registry = Node(
            folder / "registry",
            prefix=network.prefix("registry"),
            addresses=ADDRESSES,
            certificates=made,
            configuration={
                "berth": {"roles": ["registry"], "gc_review_delay": "3s", "undo_window": "3s"}
            },
        )
        gitlab = Node(
            folder / "gitlab",
            prefix=network.prefix("gitlab"),
            addresses=ADDRESSES,
            certificates=made,
            configuration={
                "registry": {"enable": False},
                "gitlab_rails": {"registry_api_url": ADDRESSES[1]},
                "berth": {"roles": ["web"], "registry_ca_bundle": str(made.authority)},
            },
        )
        _carry_the_key(registry, gitlab)
        network.trust("client", made.authority, REGISTRY)
        try:
            registry.start()
            gitlab.start()
            yield Site(network, gitlab, registry, person_at(gitlab, "alice"))
        finally:
            gitlab.discard()
            registry.discard()


def _carry_the_key(registry: Node, gitlab: Node) -> None:
    """Made where the registry is, carried to where GitLab is, gone where it was made."""
    made, there = registry.home / "keys", gitlab.home / "keys"
    for folder in (made, there):
        folder.mkdir(parents=True)
    assert "Wrote" in registry.manage("generate_keys", "--out", str(made))
    for name in ("gitlab-registry.key", "gitlab-registry.crt"):
        shutil.copy2(made / name, there / name)
    (made / "gitlab-registry.key").unlink()


@pytest.fixture
def skopeo(site: Site, tmp_path: Path) -> Skopeo:
    components.require("skopeo")
    client = Skopeo(tmp_path / "skopeo", site.network.prefix("client"))
    client.login(REGISTRY, site.alice.username, site.alice.password, _trust(site))
    return client


def _trust(site: Site, side: str = "") -> str:
    return f"--{side}cert-dir={site.gitlab.authority.parent}"


def test_skopeo_pushes_and_pulls(skopeo: Skopeo, site: Site, tmp_path: Path) -> None:
    there = images.write_layout(tmp_path / "there", images.many_layers(5))
    name = f"docker://{REGISTRY}/alice/app:1"
    skopeo("copy", _trust(site, "dest-"), f"oci:{there}", name)
    skopeo("copy", _trust(site, "src-"), name, f"oci:{tmp_path}/back")
    assert images.layout_blobs(tmp_path / "back") == images.layout_blobs(there)
    with pytest.raises(Refused, match="invalid username/password"):
        skopeo.login(REGISTRY, "alice", "not hers", _trust(site))


def test_docker_pushes_and_pulls(site: Site) -> None:
    components.require("docker")
    folder = Path(tempfile.mkdtemp(prefix="berth-docker-"))
    docker = Docker(folder, site.network.prefix("client"))
    try:
        docker.start()
        docker.use_config(folder / "config")
        assert "Login Succeeded" in docker.login(REGISTRY, "alice", site.alice.password)
        image, name = images.tiny("two nodes"), f"{REGISTRY}/alice/app:docker"
        docker.load(image, name)
        docker("push", "--quiet", name)
        docker.remove_images()
        docker("pull", "--quiet", name)
        assert docker.inspect(name)["Id"] == image.id
    finally:
        docker.stop()


def test_the_worker_deletes_an_image_and_the_collector_its_bytes(
    skopeo: Skopeo, site: Site, tmp_path: Path
) -> None:
    """GitLab's worker asks over TLS with a token of its own; the bytes are on the other node."""
    before = site.registry.bytes_on_disk()
    there = images.write_layout(tmp_path / "there", images.large(3, seed=11))
    name = f"docker://{REGISTRY}/alice/app/deleted:1"
    skopeo("copy", _trust(site, "dest-"), f"oci:{there}", name)
    assert site.registry.bytes_on_disk() > before + 3 * 2**20
    site.gitlab.run_python(
        "from gitlab.accounts.models import User\n"
        "from gitlab.container_registry import deletion\n"
        "from gitlab.container_registry.models import ContainerRepository\n"
        "image = ContainerRepository.objects.get(name='deleted')\n"
        "deletion.schedule(User.objects.get(username='alice'), image)\n"
    )
    wait_until(lambda: site.registry.bytes_on_disk() < before + 2**20, timeout=60)
    with pytest.raises(Refused, match="unknown"):
        skopeo("inspect", _trust(site), name)
    left = site.gitlab.run_python(
        "from gitlab.container_registry.models import ContainerRepository\n"
        "answer = ContainerRepository.objects.filter(name='deleted').count()\n"
    )
    assert left == 0


def test_the_registry_has_no_key_and_no_way_to_gitlabs_database(site: Site) -> None:
    files = {path.name for path in site.registry.home.rglob("*") if path.is_file()}
    assert "gitlab-registry.crt" in files
    assert "gitlab-registry.key" not in files
    assert "gitlab.sqlite3" not in files
    private = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----")
    for path in site.registry.home.rglob("*"):
        assert not path.is_file() or not private.search(path.read_bytes()), path
    engine, has_accounts = site.registry.run_python(
        "from django.apps import apps\n"
        "from django.conf import settings\n"
        "answer = [settings.DATABASES['default']['ENGINE'], apps.is_installed('gitlab.accounts')]\n"
    )
    assert engine == "django.db.backends.dummy"
    assert not has_accounts
    assert "registry.sqlite3" not in {path.name for path in site.gitlab.home.rglob("*")}


def test_each_node_serves_its_own_addresses_only(site: Site) -> None:
    """Seen from the client's machine; the nodes' own loopback is not reachable from there."""
    code = (
        "import httpx, json, ssl, sys\n"
        "trust = ssl.create_default_context(cafile=sys.argv[1])\n"
        "print(json.dumps([httpx.get(url, verify=trust).status_code for url in sys.argv[2:]]))"
    )
    asked = [
        f"{ADDRESSES[0]}/jwt/auth?service=container_registry",
        f"{ADDRESSES[0]}/v2/",
        f"{ADDRESSES[1]}/v2/",
    ]
    asked += [f"{ADDRESSES[1]}/jwt/auth", f"{ADDRESSES[1]}/users/sign_in"]
    ran = subprocess.run(
        [*site.network.prefix("client"), sys.executable, "-c", code, site.gitlab.authority, *asked],
        cwd=PROJECT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    token, missing, challenge, *others = json.loads(ran.stdout)
    assert token == 403  # nobody, who asks for nothing
    assert missing in (302, 404)  # To the page to sign in: it is no registry.
    assert challenge == 401
    assert others == [404, 404]
