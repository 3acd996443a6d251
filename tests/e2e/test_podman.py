"""podman: login, push, pull, and a list of platforms."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e import images
from tests.e2e.clients import Podman, Refused, trust
from tests.e2e.conftest import Person
from tests.e2e.images import Image
from tests.e2e.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("containers")]


@pytest.fixture
def berth(either: Installation) -> Installation:
    """Each test runs over plain http and over TLS."""
    return either


def load(podman: Podman, image: Image, name: str, tmp_path: Path) -> None:
    archive = images.write_docker_archive(image, tmp_path / "image.tar", name)
    podman("load", "--input", archive)


def layers(podman: Podman, name: str) -> tuple[str, list[str]]:
    found = json.loads(podman("image", "inspect", name))[0]
    return found["Id"], found["RootFS"]["Layers"]


def test_push_and_pull(
    podman: Podman, berth: Installation, alice: Person, project: str, tmp_path: Path
) -> None:
    image = images.many_layers(10)
    name = f"{berth.registry}/{project}:1"
    load(podman, image, name, tmp_path)
    before = layers(podman, name)
    podman.login(berth.registry, alice.username, alice.password, trust(berth))
    podman("push", trust(berth), "--quiet", name)
    podman("image", "rm", "--all", "--force")
    podman("pull", trust(berth), "--quiet", name)
    assert layers(podman, name) == before
    assert before[1] == [images.digest_of(layer) for layer in image.layers]


def test_a_list_of_platforms(
    podman: Podman, berth: Installation, alice: Person, project: str, tmp_path: Path
) -> None:
    podman.login(berth.registry, alice.username, alice.password, trust(berth))
    podman("manifest", "create", "list")
    for architecture in ("amd64", "arm64"):
        layout = images.write_layout(
            tmp_path / architecture, images.tiny(architecture, architecture=architecture)
        )
        podman("manifest", "add", "list", f"oci:{layout}")
    name = f"docker://{berth.registry}/{project}:all"
    podman("manifest", "push", "--all", trust(berth), "list", name)
    scope = f"repository:{project}:pull"
    found = berth.request("GET", f"/v2/{project}/manifests/all", scope).json()
    platforms = {entry["platform"]["architecture"] for entry in found["manifests"]}
    assert platforms == {"amd64", "arm64"}


def test_a_public_project_without_login(
    podman: Podman, berth: Installation, alice: Person, project: str, tmp_path: Path
) -> None:
    berth.create_project(project, owner=alice.username, visibility="public")
    name = f"{berth.registry}/{project}:1"
    load(podman, images.tiny("public"), name, tmp_path)
    podman.login(berth.registry, alice.username, alice.password, trust(berth))
    podman("push", trust(berth), "--quiet", name)
    podman("logout", berth.registry)
    podman("image", "rm", "--all", "--force")
    podman("pull", trust(berth), "--quiet", name)
    berth.set_visibility(project, "private")
    with pytest.raises(Refused, match=r"403 \(Forbidden\)"):
        podman("pull", trust(berth), "--quiet", name)
