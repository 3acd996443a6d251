"""Docker's own machine, and the composition that runs on it. Minutes: ``make compose-test``."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.compose import base_images
from tests.e2e import components
from tests.e2e.clients import Docker, Refused, run
from tests.e2e.installation import PROJECT, wait_until
from tests.e2e.nodes import Network

GITLAB, REGISTRY = "gitlab.berth.test", "registry.berth.test"
_QUICK = {"BERTH__GC_REVIEW_DELAY": "30s", "BERTH__UNDO_WINDOW": "3s"}
"""Added to the registry's settings, so that what is deleted goes while somebody waits; the first is
longer than a push takes on a machine that is busy.
"""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """They make images for minutes, so they run where they are asked for."""
    asked = "compose" in str(config.getoption("markexpr"))
    for item in items:
        if item.get_closest_marker("compose") and not asked:
            item.add_marker(pytest.mark.skip(reason="runs with make compose-test"))


@pytest.fixture(scope="session")
def images() -> Iterator[Path]:
    """The folder of a daemon that has ours and those of others; it isn't running.

    COMPOSE_CACHE names a folder that is kept for the next run.
    """
    for component in ("docker", "namespaces", "compose", "seaweedfs"):
        components.require(component)
    kept = os.environ.get("COMPOSE_CACHE")
    # Short: the sockets' paths may have 108 characters.
    folder = Path(kept) if kept else Path(tempfile.mkdtemp(prefix="berth-compose-"))
    docker = Docker(folder)
    try:
        docker.start()
        docker.use_config(folder / "config")
        # What an interrupted run has left in a folder that is kept.
        if left := docker("ps", "--all", "--quiet").split():
            docker("rm", "--force", "--volumes", *left)
        docker("volume", "prune", "--force")
        docker("network", "prune", "--force")
        base_images.build(docker, folder / "build")
        docker(
            "build", "--quiet", "--network", "host", "--tag", "berth:latest",
            "--file", PROJECT / "deploy" / "Dockerfile", PROJECT,
        )  # fmt: skip
        docker.stop(keep=True)
        yield folder
    finally:
        docker.stop(keep=bool(kept))


class Composition:
    """docker-compose.yml on one machine, and a second machine with nothing but a docker client."""

    url, registry_url, registry = f"https://{GITLAB}", f"https://{REGISTRY}", REGISTRY

    def __init__(self, folder: Path, docker: Docker, network: Network) -> None:
        self.docker, self.network = docker, network
        self._override = folder / "override.yml"
        self._override.write_text(
            json.dumps({"services": {name: {"environment": _QUICK} for name in ("registry", "manage")}})
        )  # fmt: skip
        self.seconds = 0.0
        """From ``up`` to the end of the first push."""

    def __call__(self, *arguments: Any, given: str | None = None, timeout: float = 600) -> str:
        """``docker-compose …``"""
        environment = {
            **os.environ,
            "DOCKER_HOST": self.docker.address,
            "COMPOSE_PROJECT_NAME": "berth",
            "COMPOSE_FILE": f"{PROJECT / 'docker-compose.yml'}:{self._override}",
            "COMPOSE_HTTP_TIMEOUT": "300",
            "GITLAB_URL": self.url,
            "REGISTRY_URL": self.registry_url,
        }
        program = components.find("docker-compose") or "docker-compose"
        return run([program, *arguments], env=environment, given=given, timeout=timeout)

    def up(self) -> None:
        """Start it, and wait until nginx is well, which waits for the others."""
        self("up", "--detach", "--no-build")
        self.wait()

    def wait(self) -> None:
        """Until everything that has a health check is well."""
        try:
            wait_until(self.is_well, timeout=240, interval=1)
        except AssertionError as error:
            raise AssertionError(f"{self.states()}\n{self('logs', '--tail=40')}") from error

    def states(self) -> dict[str, str]:
        """The health of each service that runs for long."""
        found = {}
        for container in self.containers():
            state = container["State"]
            name = container["Config"]["Labels"]["com.docker.compose.service"]
            if name not in ("setup", "bucket", "manage"):
                found[name] = state.get("Health", {}).get("Status", state["Status"])
        return found

    def is_well(self) -> bool:
        """Whether all of them are."""
        states = self.states()
        return len(states) == 8 and set(states.values()) == {"healthy"}

    def containers(self) -> list[dict[str, Any]]:
        """What docker knows of each container."""
        ids = self.docker(
            "ps", "--all", "--quiet", "--filter", "label=com.docker.compose.project=berth"
        )
        if not ids:
            return []
        found: list[dict[str, Any]] = json.loads(self.docker("inspect", *ids.split()))
        return found

    def inside(self, service: str, *command: str, given: str | None = None) -> str:
        """What a command prints that runs in a service's container."""
        return self("exec", "-T", service, *command, given=given)

    def manage(self, *arguments: str) -> str:
        """``manage.py …`` beside both sides."""
        return self("run", "--rm", "-T", "manage", *arguments)

    def python(self, code: str) -> str:
        """What code prints in the web container, with GitLab's models."""
        return self.inside(
            "web", "env", "BERTH__ROLES=web", "python", "manage.py", "shell", "--no-imports", "-c", code
        )  # fmt: skip

    @property
    def password(self) -> str:
        """root's, as an administrator reads it."""
        return self.inside("web", "cat", "/run/secrets/web/root_password")

    def trust_on_client(self) -> None:
        """Carry the authority's certificate to the client's machine."""
        ca = self._override.parent / "ca.crt"
        ca.write_text(self.inside("web", "cat", "/run/secrets/web/ca.crt"))
        self.network.trust("client", ca, REGISTRY)
        self.authority = ca

    def ask(self, code: str) -> Any:
        """Runs `code` on the client's machine, with httpx's `client`; what it assigns to
        ``answer``.
        """
        lines = (
            "import httpx, json, ssl, sys\nanswer = None\n"
            f"client = httpx.Client(verify=ssl.create_default_context(cafile={str(self.authority)!r}),"
            " timeout=60)\n"
            f"{code}\nprint(json.dumps(answer))\n"
        )
        ran = subprocess.run(
            [*self.network.prefix("client"), sys.executable, "-c", lines],
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout.splitlines()[-1])


@pytest.fixture(scope="session")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    names = {GITLAB: "server", REGISTRY: "server"}
    folder = tmp_path_factory.mktemp("machines")
    with Network(folder, "server", "client", names=names) as made:
        yield made


@pytest.fixture(scope="session")
def client(network: Network) -> Iterator[Docker]:
    """docker on a machine from which only nginx is reached."""
    docker = Docker(Path(tempfile.mkdtemp(prefix="berth-docker-")), network.prefix("client"))
    try:
        docker.start()
        docker.use_config(docker.folder / "config")
        yield docker
    finally:
        docker.stop()


@pytest.fixture(scope="session")
def site(
    images: Path, network: Network, client: Docker, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Composition]:
    """The composition, up and well, with docker logged in as root on the client's machine."""
    docker = Docker(images, network.prefix("server"), has_networks=True)
    folder = tmp_path_factory.mktemp("compose")
    composition = Composition(folder, docker, network)
    try:
        docker.start()
        docker.use_config(images / "config")
        began = time.monotonic()
        composition.up()
        composition.trust_on_client()
        client.login(REGISTRY, "root", composition.password)
        composition.seconds = time.monotonic() - began
        yield composition
    finally:
        with suppress(Refused, subprocess.TimeoutExpired):
            composition("down", "--volumes", "--timeout", "5")
        docker.stop(keep=True)
        shutil.rmtree(folder, ignore_errors=True)
