"""skopeo: copy, inspect, list-tags, delete."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.e2e import images
from tests.e2e.clients import Refused, Skopeo, trust
from tests.e2e.conftest import Person
from tests.e2e.images import digest_of
from tests.e2e.installation import Installation
from tests.e2e.wire import Walk, Wire

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("containers")]


@pytest.fixture
def berth(either: Installation) -> Installation:
    """Each test runs over plain http and over TLS."""
    return either


@pytest.fixture
def signed_in(skopeo: Skopeo, berth: Installation, alice: Person) -> Skopeo:
    skopeo.login(berth.registry, alice.username, alice.password, trust(berth))
    return skopeo


def test_copy_there_and_back(
    signed_in: Skopeo, berth: Installation, project: str, tmp_path: Path
) -> None:
    there = images.write_layout(tmp_path / "there", images.many_layers(12))
    name = f"docker://{berth.registry}/{project}:1"
    signed_in("copy", trust(berth, "dest-"), f"oci:{there}", name)
    signed_in("copy", trust(berth, "src-"), name, f"oci:{tmp_path}/back")
    assert images.layout_blobs(tmp_path / "back") == images.layout_blobs(there)


def test_copy_an_index(
    signed_in: Skopeo, berth: Installation, project: str, tmp_path: Path
) -> None:
    made = [images.tiny(name, architecture=name) for name in ("amd64", "arm64", "s390x")]
    there = images.write_layout(tmp_path / "there", *made)
    name = f"docker://{berth.registry}/{project}:all"
    signed_in("copy", "--all", trust(berth, "dest-"), f"oci:{there}", name)
    raw = signed_in("inspect", "--raw", trust(berth), name)
    assert digest_of(raw.encode()) == digest_of(images.index_of(*made))
    signed_in("copy", "--all", trust(berth, "src-"), name, f"oci:{tmp_path}/back")
    assert images.layout_blobs(tmp_path / "back") == images.layout_blobs(there)


def test_inspect_and_list_tags(
    signed_in: Skopeo, berth: Installation, project: str, tmp_path: Path
) -> None:
    image = images.tiny("inspected")
    there = images.write_layout(tmp_path / "there", image)
    repository = f"docker://{berth.registry}/{project}/some/image"
    for tag in ("1.0", "latest", "v2"):
        signed_in("copy", trust(berth, "dest-"), f"oci:{there}", f"{repository}:{tag}")
    found = json.loads(signed_in("inspect", trust(berth), f"{repository}:latest"))
    assert found["Digest"] == digest_of(image.manifest)
    assert found["Layers"] == [digest_of(blob) for blob in image.blobs]
    assert found["RepoTags"] == ["1.0", "latest", "v2"]
    tags = json.loads(signed_in("list-tags", trust(berth), repository))["Tags"]
    assert tags == ["1.0", "latest", "v2"]


def test_delete(signed_in: Skopeo, berth: Installation, project: str, tmp_path: Path) -> None:
    there = images.write_layout(tmp_path / "there", images.tiny("to be deleted"))
    name = f"docker://{berth.registry}/{project}:1"
    signed_in("copy", trust(berth, "dest-"), f"oci:{there}", name)
    signed_in("delete", trust(berth), name)
    with pytest.raises(Refused, match="manifest unknown"):
        signed_in("inspect", trust(berth), name)


def test_copy_from_one_repository_to_another(
    signed_in: Skopeo, berth: Installation, project: str, tmp_path: Path
) -> None:
    there = images.write_layout(tmp_path / "there", images.tiny("moved"))
    one, other = (f"docker://{berth.registry}/{project}/{name}:1" for name in ("one", "other"))
    signed_in("copy", trust(berth, "dest-"), f"oci:{there}", one)
    signed_in("copy", trust(berth, "src-"), trust(berth, "dest-"), one, other)
    assert signed_in("inspect", "--raw", trust(berth), one) == signed_in(
        "inspect", "--raw", trust(berth), other
    )


def test_without_login(skopeo: Skopeo, berth: Installation, alice: Person, project: str) -> None:
    berth.create_project(project, owner=alice.username)
    with pytest.raises(Refused, match=r"403 \(Forbidden\)"):
        skopeo("inspect", trust(berth), f"docker://{berth.registry}/{project}:1")


def test_a_wrong_password(skopeo: Skopeo, berth: Installation, alice: Person) -> None:
    with pytest.raises(Refused, match="invalid username/password"):
        skopeo.login(berth.registry, alice.username, "not the password", trust(berth))


def test_sync_from_a_folder_and_to_a_folder(
    signed_in: Skopeo, berth: Installation, project: str, tmp_path: Path
) -> None:
    """Every tag of an image goes out to a folder, and back in under another project."""
    tags = ("1.0", "1.1", "latest")
    made = {tag: images.tiny(f"synced {tag}") for tag in tags}
    with Wire(berth, f"{project}/image") as wire:
        for tag, image in made.items():
            wire.push(image, tag)
    source = f"{berth.registry}/{project}/image"
    signed_in("sync", "--src", "docker", "--dest", "dir", "--scoped", trust(berth, "src-"), source, tmp_path / "out")  # fmt: skip
    folders = tmp_path / "out" / berth.registry / project
    assert {path.name for path in folders.iterdir()} == {f"image:{tag}" for tag in tags}
    target = f"{berth.registry}/{project}-copy"
    signed_in("sync", "--src", "dir", "--dest", "docker", trust(berth, "dest-"), folders, target)
    assert Walk(berth).repository(f"{project}-copy/image") == {
        tag: digest_of(image.manifest) for tag, image in made.items()
    }


@pytest.mark.parametrize("either", ["http"], indirect=True)
def test_list_tags_over_pages(signed_in: Skopeo, berth: Installation, project: str) -> None:
    """More tags than a page holds: skopeo follows the links."""
    image = images.tiny("tagged often")
    wanted = [f"build-{n:04}" for n in range(1100)]
    with Wire(berth, project) as wire:
        wire.push(image)
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda tag: wire.push_manifest(image.manifest, tag), wanted))
        assert len(wire.get("tags/list").json()["tags"]) < len(wanted)
    listed = json.loads(
        signed_in("list-tags", trust(berth), f"docker://{berth.registry}/{project}")
    )
    assert listed["Tags"] == wanted


def test_a_deleted_tag_leaves_the_others(
    signed_in: Skopeo, berth: Installation, project: str, tmp_path: Path
) -> None:
    """skopeo deletes by digest: every tag of that image goes, and no other image."""
    with Wire(berth, project) as wire:
        wire.push(images.tiny("goes"), "goes")
        wire.push(images.tiny("goes"), "goes-too")
        wire.push(images.tiny("stays"), "stays")
        signed_in("delete", trust(berth), f"docker://{berth.registry}/{project}:goes")
        assert wire.tags() == ["stays"]
    assert list(Walk(berth).repository(project)) == ["stays"]
