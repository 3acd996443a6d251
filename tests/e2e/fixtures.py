"""Installations, stores and clients for all tests that use real ones, wherever they stand.

A plugin of the root's conftest: what is heavy is imported by the fixture that needs it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import components, seaweedfs
from tests.e2e.clients import Buildah, Docker, Podman, Skopeo, run
from tests.e2e.installation import PROJECT, Installation


@pytest.fixture
def require() -> Any:
    """``require("redis")``: the program's path, or a skip; under ``REQUIRE_ALL=1`` a failure."""
    return components.require


@pytest.fixture
def make_installation(tmp_path: Path) -> Iterator[Any]:
    """``make_installation(BERTH__UNDO_WINDOW="2s")``: a running installation with settings.

    One process serves each role, unless ``BERTH__PROCESSES`` says otherwise.
    """
    started: list[Installation] = []

    def make(*, from_nothing: bool = False, **settings: str) -> Installation:
        folder = tmp_path / f"installation-{len(started)}"
        given = {"BERTH__PROCESSES": "1", **settings}
        installation = Installation(folder, from_nothing=from_nothing, **given)
        started.append(installation)
        installation.start()
        return installation

    yield make
    for installation in started:
        installation.discard()


@pytest.fixture(scope="session")
def berth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """A real installation with the default settings, one for all tests of this worker.

    Where garbage has to go within seconds, use `make_installation`: here a push may take longer.
    """
    installation = Installation(tmp_path_factory.mktemp("berth"))
    installation.start()
    yield installation
    installation.discard()


@pytest.fixture(scope="session")
def s3(request: pytest.FixtureRequest) -> Iterator[seaweedfs.SeaweedFS]:
    """A real S3 server, one for all workers. Each test keeps to a prefix of its own."""
    components.require("seaweedfs")
    with seaweedfs.shared(request.config.stash[components.SHARED] / "seaweedfs") as running:
        yield running


@pytest.fixture(scope="session")
def dockerd() -> Iterator[Docker]:
    """A docker daemon of this worker's own."""
    components.require("docker")
    docker = Docker(Path(tempfile.mkdtemp(prefix="berth-docker-")))
    try:
        docker.start()
        yield docker
    finally:
        docker.stop()


@pytest.fixture
def docker(dockerd: Docker, tmp_path: Path) -> Iterator[Docker]:
    """The docker client, logged in nowhere, with no images left by other tests."""
    dockerd.use_config(tmp_path / "docker-config")
    yield dockerd
    dockerd.remove_images()


@pytest.fixture
def podman(tmp_path: Path) -> Iterator[Podman]:
    """podman with its own storage and its own file of logins."""
    components.require("podman")
    client = Podman(tmp_path / "podman")
    yield client
    client.remove()


@pytest.fixture
def buildah(tmp_path: Path) -> Iterator[Buildah]:
    """buildah with its own storage and its own file of logins."""
    components.require("buildah")
    client = Buildah(tmp_path / "buildah")
    yield client
    client.remove()


@pytest.fixture
def run_python_gitlab() -> Any:
    """``run_python_gitlab(code, GITLAB_URL=…)``: runs `code` where PyPI's python-gitlab is
    installed.

    It is imported as ``gitlab``, so it has an environment of its own: ``make python-gitlab``.
    """
    python = PROJECT / ".venv-python-gitlab" / "bin" / "python"
    if not python.exists():
        reason = "there is no .venv-python-gitlab; make python-gitlab makes it"
        if os.environ.get("REQUIRE_ALL") == "1":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)

    def run_code(code: str, **environment: str) -> str:
        # Isolated, so that our own `gitlab` in the current folder is not found.
        return run([python, "-I", "-c", code], env={**os.environ, **environment})

    return run_code


@pytest.fixture
def skopeo(tmp_path: Path) -> Skopeo:
    """skopeo with its own file of logins."""
    components.require("skopeo")
    return Skopeo(tmp_path / "skopeo")
