"""buildah: build from nothing, push, pull."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.clients import Buildah, trust
from tests.e2e.conftest import Person
from tests.e2e.installation import Installation
from tests.e2e.wire import Walk

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("containers")]


@pytest.fixture
def berth(either: Installation) -> Installation:
    """Each test runs over plain http and over TLS."""
    return either


def test_build_push_and_pull(
    buildah: Buildah, berth: Installation, alice: Person, project: str, tmp_path: Path
) -> None:
    (tmp_path / "hello").write_text("hello")
    buildah.login(berth.registry, alice.username, alice.password, trust(berth))
    container = buildah("from", "scratch").strip()
    buildah("copy", container, tmp_path / "hello", "/hello")
    buildah("config", "--cmd", "/hello", container)
    name = f"{berth.registry}/{project}/built:1"
    buildah("commit", "--quiet", container, name)
    before = inspect(buildah, name)
    buildah("push", trust(berth), "--quiet", name)
    buildah("rm", "--all")
    buildah("rmi", "--all", "--force")
    buildah("pull", trust(berth), "--quiet", name)
    assert inspect(buildah, name) == before


def inspect(buildah: Buildah, name: str) -> tuple[str, list[str]]:
    found = json.loads(buildah("inspect", "--type", "image", name))
    return found["FromImageID"], found["OCIv1"]["rootfs"]["diff_ids"]


def test_a_manifest_list_built_from_scratch(
    buildah: Buildah, berth: Installation, alice: Person, project: str, tmp_path: Path
) -> None:
    """``buildah build --manifest`` for two platforms, pushed with all its images."""
    (tmp_path / "Containerfile").write_text("FROM scratch\nCOPY hello /\n")
    (tmp_path / "hello").write_text("hello")
    buildah.login(berth.registry, alice.username, alice.password, trust(berth))
    for platform in ("linux/amd64", "linux/arm64"):
        buildah("build", "--quiet", "--platform", platform, "--manifest", "list", tmp_path)
    name = f"{berth.registry}/{project}:all"
    buildah("manifest", "push", "--all", trust(berth), "list", f"docker://{name}")
    Walk(berth).repository(project)
    scope = f"repository:{project}:pull"
    listed = berth.request("GET", f"/v2/{project}/manifests/all", scope).json()["manifests"]
    platforms = {entry["platform"]["architecture"] for entry in listed}
    assert platforms == {"amd64", "arm64"}
    buildah("rmi", "--all", "--force")
    buildah("pull", trust(berth), "--quiet", "--arch", "arm64", name)
    pulled = json.loads(buildah("inspect", "--type", "image", name))
    assert pulled["OCIv1"]["architecture"] == "arm64"
