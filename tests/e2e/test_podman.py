"""podman: login, push, pull, and a list of platforms."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.e2e import images
from tests.e2e.clients import Podman, Refused, trust
from tests.e2e.conftest import Person
from tests.e2e.images import Image
from tests.e2e.installation import Installation
from tests.e2e.wire import Walk, Wire

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


def test_search(
    podman: Podman, berth: Installation, alice: Person, project: str, tmp_path: Path
) -> None:
    """The catalogue is for administrators; the tags of an image for whoever may pull it."""
    with Wire(berth, f"{project}/searched") as wire:
        for tag in ("1", "2"):
            wire.push(images.tiny("searched"), tag)
    options = [trust(berth)]
    if berth.authority is not None:
        # Of podman's commands only search knows no --cert-dir.
        folder = podman.folder / "home" / ".config" / "containers" / "certs.d" / berth.registry
        folder.mkdir(parents=True)
        shutil.copy(berth.authority, folder)
        options = []
    podman.login(berth.registry, "root", berth.root_password, trust(berth))
    found = podman("search", *options, "--format", "{{.Name}}", f"{berth.registry}/searched")
    assert f"{berth.registry}/{project}/searched" in found.split()
    podman.login(berth.registry, alice.username, alice.password, trust(berth))
    name = f"{berth.registry}/{project}/searched"
    listed = podman("search", *options, "--list-tags", name).splitlines()[1:]
    assert [line.split() for line in listed] == [[name, "1"], [name, "2"]]
    with pytest.raises(Refused, match="denied"):
        podman("search", *options, f"{berth.registry}/searched")


def test_build_from_scratch(
    podman: Podman, berth: Installation, alice: Person, project: str, tmp_path: Path
) -> None:
    (tmp_path / "Containerfile").write_text("FROM scratch\nCOPY hello /\nLABEL made=here\n")
    (tmp_path / "hello").write_text("hello")
    name = f"{berth.registry}/{project}/built:1"
    podman("build", "--quiet", "--tag", name, tmp_path)
    before = layers(podman, name)
    podman.login(berth.registry, alice.username, alice.password, trust(berth))
    podman("push", trust(berth), "--quiet", name)
    podman("image", "rm", "--all", "--force")
    podman("pull", trust(berth), "--quiet", name)
    assert layers(podman, name) == before
    assert list(Walk(berth).repository(f"{project}/built")) == ["1"]
