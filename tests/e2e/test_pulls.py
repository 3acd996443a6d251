"""What clients' pulls count, of an image for one platform and of one for three.

The numbers stand in docs/pulls.md.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from tests.e2e import images
from tests.e2e.clients import Docker, Podman, Skopeo, run, trust
from tests.e2e.components import find, free_port, require
from tests.e2e.conftest import Person
from tests.e2e.images import digest_of
from tests.e2e.installation import Installation, wait_until

# The daemon's, since docker and its containerd are here too.
pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("docker")]

PLATFORMS = ("amd64", "arm64", "s390x")


class Pushed:
    """An image ``one``, for one platform, and ``all``, for three, that nobody has pulled."""

    def __init__(self, berth: Installation, skopeo: Skopeo, project: str, folder: Path) -> None:
        self.berth, self.project = berth, project
        self.name = f"{berth.registry}/{project}"
        self._marks = 0
        one, mark, *every = (
            images.tiny(f"{project} {name}", architecture=name.partition(" ")[0])
            for name in ("amd64 alone", "amd64 mark", *PLATFORMS)
        )
        self.digests = {
            "one": digest_of(one.manifest),
            "all": digest_of(images.index_of(*every)),
            "child": digest_of(every[0].manifest),
        }
        for tag, some in (("one", [one]), ("all", every), ("mark", [mark])):
            layout = images.write_layout(folder / tag, *some)
            there = f"docker://{self.name}:{tag}"
            skopeo("copy", "--all", trust(berth, "dest-"), f"oci:{layout}", there)

    def counted(self) -> tuple[int, ...]:
        """The pulls since the push: of the repository, of the tags ``one`` and ``all``, of the
        manifests of both, and of the first child of ``all``.
        """
        scope = f"repository:{self.project}:pull"
        self.berth.request("GET", f"/v2/{self.project}/manifests/mark", scope)
        self._marks += 1
        # What came before it is written down with it.
        wait_until(lambda: self._sum("?tag=mark") == self._marks)
        by_digest = [self._sum(f"?digest={digest}") for digest in self.digests.values()]
        return (
            self._sum("") - self._marks,
            self._sum("?tag=one"),
            self._sum("?tag=all"),
            *by_digest,
        )

    def _sum(self, query: str) -> int:
        path = f"/gitlab/v1/berth/pulls/{self.project}/{query}"
        days = self.berth.request("GET", path, f"repository:{self.project}:pull").json()["days"]
        return sum(day["pulls"] for day in days)


@pytest.fixture
def pushed(
    berth: Installation, skopeo: Skopeo, alice: Person, project: str, tmp_path: Path
) -> Pushed:
    skopeo.login(berth.registry, alice.username, alice.password, trust(berth))
    return Pushed(berth, skopeo, project, tmp_path)


def test_docker(docker: Docker, pushed: Pushed, alice: Person) -> None:
    """By digest; what is here already is asked for by HEAD alone."""
    docker.login(pushed.berth.registry, alice.username, alice.password)
    docker("pull", "--quiet", f"{pushed.name}:one")
    assert pushed.counted() == (1, 0, 0, 1, 0, 0)
    docker("pull", "--quiet", f"{pushed.name}:all")
    assert pushed.counted() == (2, 0, 0, 1, 1, 1)
    docker("pull", "--quiet", f"{pushed.name}:all")
    assert pushed.counted() == (2, 0, 0, 1, 1, 1)
    docker("manifest", "inspect", "--insecure", f"{pushed.name}:one")
    assert pushed.counted() == (3, 1, 0, 2, 1, 1)


def test_containerd(docker: Docker, pushed: Pushed, alice: Person) -> None:
    """As docker. What is fetched is not unpacked, which asks nothing of the registry."""
    ctr = find("ctr")
    if ctr is None:
        pytest.skip("there is no ctr")
    # The daemon has one of its own.
    socket = docker.folder / "exec" / "containerd" / "containerd.sock"

    def fetch(tag: str) -> None:
        run(
            [ctr, "--address", socket, "content", "fetch", "--plain-http",
             "--platform", "linux/amd64", "--user", f"{alice.username}:{alice.password}",
             f"{pushed.name}:{tag}"],
            env={},
        )  # fmt: skip

    fetch("one")
    assert pushed.counted() == (1, 0, 0, 1, 0, 0)
    fetch("all")
    assert pushed.counted() == (2, 0, 0, 1, 1, 1)
    fetch("all")
    assert pushed.counted() == (2, 0, 0, 1, 1, 1)


def test_podman(podman: Podman, pushed: Pushed, alice: Person) -> None:
    """By tag, and again each time."""
    podman.login(pushed.berth.registry, alice.username, alice.password)

    def pull(tag: str) -> None:
        podman("pull", trust(pushed.berth), "--quiet", f"{pushed.name}:{tag}")

    pull("one")
    assert pushed.counted() == (1, 1, 0, 1, 0, 0)
    pull("all")
    assert pushed.counted() == (2, 1, 1, 1, 1, 1)
    pull("all")
    assert pushed.counted() == (3, 1, 2, 1, 2, 2)


def test_skopeo(skopeo: Skopeo, pushed: Pushed, tmp_path: Path) -> None:
    """By tag; of an index the child that fits, or with ``--all`` each. To inspect is to pull."""
    source = trust(pushed.berth, "src-")
    skopeo("copy", source, f"docker://{pushed.name}:one", f"oci:{tmp_path}/to-one")
    assert pushed.counted() == (1, 1, 0, 1, 0, 0)
    skopeo("copy", source, f"docker://{pushed.name}:all", f"oci:{tmp_path}/to-all")
    assert pushed.counted() == (2, 1, 1, 1, 1, 1)
    skopeo("copy", "--all", source, f"docker://{pushed.name}:all", f"oci:{tmp_path}/to-every")
    assert pushed.counted() == (3, 1, 2, 1, 2, 2)
    skopeo("inspect", "--raw", trust(pushed.berth), f"docker://{pushed.name}:all")
    assert pushed.counted() == (4, 1, 3, 1, 3, 2)


@contextmanager
def mirror_of(berth: Installation, alice: Person, folder: Path) -> Iterator[str]:
    """docker's own registry as a cache that pulls through; where it is."""
    program, port = require("docker-registry"), free_port()
    configuration = {
        "version": "0.1",
        "storage": {"filesystem": {"rootdirectory": str(folder / "mirror")}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "theirs"},
        "proxy": {
            "remoteurl": berth.registry_url,
            "username": alice.username,
            "password": alice.password,
        },
    }
    path = folder / "mirror.yml"
    path.write_text(json.dumps(configuration))  # JSON is YAML, too.
    with (folder / "mirror.log").open("wb") as log:
        running = subprocess.Popen([program, "serve", path], stdout=log, stderr=log)
    try:
        wait_until(lambda: _answers(f"http://127.0.0.1:{port}/v2/"))
        yield f"127.0.0.1:{port}"
    finally:
        running.terminate()
        running.wait(20)


def _answers(url: str) -> bool:
    with suppress(httpx.TransportError):
        return httpx.get(url).status_code == 200
    return False


def test_a_mirror(skopeo: Skopeo, pushed: Pushed, alice: Person, tmp_path: Path) -> None:
    """By tag, for the first of its clients; for the others it asks by HEAD."""
    with mirror_of(pushed.berth, alice, tmp_path) as mirror:

        def copy(tag: str, there: str) -> None:
            source = f"docker://{mirror}/{pushed.project}:{tag}"
            skopeo("copy", "--src-tls-verify=false", source, f"oci:{tmp_path}/{there}")

        copy("one", "first")
        assert pushed.counted() == (1, 1, 0, 1, 0, 0)
        copy("one", "second")
        assert pushed.counted() == (1, 1, 0, 1, 0, 0)
        copy("all", "third")
        assert pushed.counted() == (2, 1, 1, 1, 1, 1)
        copy("all", "fourth")
        assert pushed.counted() == (2, 1, 1, 1, 1, 1)
