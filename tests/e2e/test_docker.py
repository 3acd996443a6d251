"""docker against a real installation: what was pulled is bit for bit what was pushed."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import images
from tests.e2e.browsing import Browser
from tests.e2e.clients import Docker, Refused
from tests.e2e.conftest import Person, person_at
from tests.e2e.images import Image, digest_of
from tests.e2e.installation import Installation, wait_until
from tests.refusals import DENIAL

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("docker")]


def login(docker: Docker, berth: Installation, person: Person) -> None:
    assert "Login Succeeded" in docker.login(berth.registry, person.username, person.password)


def push(docker: Docker, berth: Installation, image: Image, repository: str, tag: str = "1") -> str:
    """Push `image`; its full name."""
    name = f"{berth.registry}/{repository}:{tag}"
    docker.load(image, name)
    docker("push", "--quiet", name)
    return name


def assert_stored(berth: Installation, image: Image, repository: str, tag: str = "1") -> str:
    """The registry holds exactly `image`; the manifest's digest."""
    scope = f"repository:{repository}:pull"
    response = berth.request("GET", f"/v2/{repository}/manifests/{tag}", scope)
    assert response.status_code == 200, response.text
    digest = response.headers["Docker-Content-Digest"]
    assert digest == digest_of(response.content)
    manifest = response.json()
    assert manifest["config"]["digest"] == image.id
    assert len(manifest["layers"]) == len(image.layers)
    for descriptor, content in zip(manifest["layers"], image.layers, strict=True):
        blob = berth.request("GET", f"/v2/{repository}/blobs/{descriptor['digest']}", scope)
        assert digest_of(blob.content) == descriptor["digest"]
        assert len(blob.content) == descriptor["size"]
        assert digest_of(gzip.decompress(blob.content)) == digest_of(content)
    return str(digest)


@pytest.mark.parametrize(
    "image",
    [
        pytest.param(lambda: images.tiny("docker"), id="tiny"),
        pytest.param(lambda: images.many_layers(40), id="40-layers"),
        pytest.param(lambda: images.large(100), id="100-MB"),
    ],
)
def test_push_and_pull(
    docker: Docker, berth: Installation, alice: Person, project: str, image: object
) -> None:
    made: Image = image()  # type: ignore[operator]
    login(docker, berth, alice)
    name = push(docker, berth, made, project)
    digest = assert_stored(berth, made, project)
    before = docker.inspect(name)
    docker.remove_images()
    docker("pull", "--quiet", name)
    after = docker.inspect(name)
    assert after["Id"] == before["Id"] == made.id
    assert after["RootFS"]["Layers"] == [digest_of(layer) for layer in made.layers]
    assert f"{berth.registry}/{project}@{digest}" in after["RepoDigests"]


def test_pull_by_digest(docker: Docker, berth: Installation, alice: Person, project: str) -> None:
    image = images.tiny("by digest")
    login(docker, berth, alice)
    push(docker, berth, image, project)
    digest = assert_stored(berth, image, project)
    docker.remove_images()
    docker("pull", "--quiet", f"{berth.registry}/{project}@{digest}")
    assert docker.inspect(f"{berth.registry}/{project}@{digest}")["Id"] == image.id


def test_build_and_push(
    docker: Docker, berth: Installation, alice: Person, project: str, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text('FROM scratch\nCOPY hello /\nCMD ["/hello"]\n')
    (tmp_path / "hello").write_text("hello")
    login(docker, berth, alice)
    name = f"{berth.registry}/{project}/built:latest"
    docker("build", "--quiet", "--tag", name, tmp_path)
    built = docker.inspect(name)["Id"]
    docker("push", "--quiet", name)
    docker.remove_images()
    docker("pull", "--quiet", name)
    assert docker.inspect(name)["Id"] == built


def test_an_index_of_two_platforms(
    docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    login(docker, berth, alice)
    names = []
    for architecture in ("amd64", "arm64"):
        image = images.tiny(f"for {architecture}", architecture=architecture)
        names.append(push(docker, berth, image, project, architecture))
    index = f"{berth.registry}/{project}:all"
    docker("manifest", "create", "--insecure", index, *names)
    printed = docker("manifest", "push", "--insecure", "--purge", index)
    response = berth.request(
        "GET",
        f"/v2/{project}/manifests/all",
        f"repository:{project}:pull",
        headers={"Accept": "application/vnd.docker.distribution.manifest.list.v2+json"},
    )
    assert digest_of(response.content) in printed
    platforms = [entry["platform"]["architecture"] for entry in response.json()["manifests"]]
    assert sorted(platforms) == ["amd64", "arm64"]
    docker.remove_images()
    docker("pull", "--quiet", "--platform", "linux/arm64", index)
    assert docker.inspect(index)["Architecture"] == "arm64"


def test_a_second_push_sends_nothing(
    docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    image = images.many_layers(5)
    login(docker, berth, alice)
    name = push(docker, berth, image, project)
    before = berth.bytes_on_disk()
    assert "Layer already exists" in docker("push", name)
    again = f"{berth.registry}/{project}/copy:1"
    docker("tag", name, again)
    assert "Mounted from" in docker("push", again)
    assert berth.bytes_on_disk() == before


def test_the_first_push_creates_a_private_project(
    docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    login(docker, berth, alice)
    push(docker, berth, images.tiny("first"), f"{project}/image")
    assert visibility(berth, project) == "private"


def visibility(berth: Installation, path: str) -> object:
    return berth.run_python(
        "from gitlab.namespaces.models import Project\n"
        f"answer = Project.objects.get(full_path={path!r}).visibility"
    )


def test_anybody_pulls_from_a_public_project(
    docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    image = images.tiny("public")
    berth.create_project(project, owner=alice.username, visibility="public")
    login(docker, berth, alice)
    name = push(docker, berth, image, project)
    docker("logout", berth.registry)
    docker.remove_images()
    docker("pull", "--quiet", name)
    assert docker.inspect(name)["Id"] == image.id


def test_nobody_pulls_from_a_private_project(
    docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    login(docker, berth, alice)
    name = push(docker, berth, images.tiny("private"), project)
    docker("logout", berth.registry)
    docker.remove_images()
    with pytest.raises(Refused, match=r"denied|access forbidden"):
        docker("pull", name)


def test_a_stranger_may_not_push(
    docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    """docker says why in a line, with an id; its page tells it to the two whom it concerns."""
    berth.create_project(project, owner=alice.username, visibility="public")
    carol, mallory = person_at(berth, "carol"), person_at(berth, "mallory")
    login(docker, berth, carol)
    with pytest.raises(Refused, match="denied") as refused:
        push(docker, berth, images.tiny("not welcome"), project)
    said = str(refused.value)
    assert f"pushing to {project} takes the role Developer there" in said
    found = DENIAL.search(said)
    assert found, said
    page = f"/-/denials/{found[0].split()[1].rstrip(')')}"
    concerned = Browser(berth, carol)
    wait_until(lambda: concerned.http.get(page).status_code == 200)
    for reader in (concerned, Browser(berth, alice)):
        words = reader.read(page)
        for told in (project, "carol", "push", "Developer"):
            assert told in words, words
    stranger = Browser(berth, mallory)
    assert stranger.http.get(page).status_code == 404
    assert stranger.http.get("/-/denials/AAAAAAAAAA").status_code == 404


def _protect(berth: Installation, project: str, code: str) -> None:
    """Make a rule, and wait until it holds for tokens from before too."""
    berth.run_python(
        "from gitlab.accounts.models import User\n"
        "from gitlab.container_registry.protection import services\n"
        "from gitlab.namespaces.models import Project\n"
        "root = User.objects.filter(is_superuser=True).first()\n"
        f"project = Project.objects.get(full_path={project!r})\n"
        f"{code}\n"
        "answer = 1"
    )
    wait_until(
        lambda: berth.run_python(
            "from gitlab.revocations.models import Revocation\n"
            "answer = not Revocation.objects.filter(told_at=None).exists()"
        ),
        timeout=60,
    )


def test_a_protected_tag_and_image_say_so(
    docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    """docker shows which rule is in the way, for tokens from before the rule as well."""
    login(docker, berth, alice)
    first = images.tiny("first")
    name = push(docker, berth, first, project, "v1.0")
    _protect(
        berth,
        project,
        "services.create_tag_rule(root, project, tag_name_pattern='^v[0-9.]+$')",
    )
    docker("push", "--quiet", name)
    with pytest.raises(Refused, match=r'tag v1\.0 is immutable by rule "\^v\[0-9\.\]\+\$"'):
        push(docker, berth, images.tiny("second"), project, "v1.0")
    push(docker, berth, images.tiny("second"), project, "other")
    _protect(
        berth,
        project,
        "services.create_repository_rule(root, project, minimum_access_level_for_push=60,"
        " repository_path_pattern=project.full_path + '*')",
    )
    with pytest.raises(Refused, match=r"is protected by rule .*: pushing takes an administrator"):
        push(docker, berth, images.tiny("third"), project, "other")


def test_a_wrong_password(docker: Docker, berth: Installation, alice: Person) -> None:
    with pytest.raises(Refused, match=r"[Uu]nauthorized|Access denied"):
        docker.login(berth.registry, alice.username, "not the password")
    config = docker._config / "config.json"
    assert not config.exists() or not json.loads(config.read_text()).get("auths")


def test_deleting_frees_the_disk(docker: Docker, make_installation: Any) -> None:
    """One image of two goes: what only it used disappears, what both use stays."""
    berth: Installation = make_installation(
        BERTH__GC_REVIEW_DELAY="10s", BERTH__UNDO_WINDOW="5s", BERTH__UPLOAD_EXPIRY="20s"
    )
    berth.create_user("alice")
    project = "alice/app"
    shared = images.layer({"shared": b"s" * 100_000})
    kept = Image((shared, images.layer({"kept": b"k"})))
    gone = Image((shared, *images.large(8).layers))
    login(docker, berth, Person("alice", berth.root_password))
    kept_name = push(docker, berth, kept, project, "kept")
    before = berth.bytes_on_disk()
    push(docker, berth, gone, project, "gone")
    digest = assert_stored(berth, gone, project, "gone")
    full = berth.bytes_on_disk()
    assert full > before + 8 * 1024 * 1024
    response = berth.request(
        "DELETE", f"/v2/{project}/manifests/{digest}", f"repository:{project}:delete,pull"
    )
    assert response.status_code == 202, response.text
    wait_until(lambda: berth.bytes_on_disk() <= before, timeout=180)
    assert_stored(berth, kept, project, "kept")
    docker.remove_images()
    docker("pull", "--quiet", kept_name)
    assert docker.inspect(kept_name)["Id"] == kept.id


def test_an_annotated_index_by_tag_and_by_digest(
    docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    """Two images of the same declared architecture, told apart by ``docker manifest annotate``."""
    login(docker, berth, alice)
    made = {name: images.tiny(f"annotated {name}") for name in ("plain", "v7")}
    names = {name: push(docker, berth, image, project, name) for name, image in made.items()}
    index = f"{berth.registry}/{project}:all"
    docker("manifest", "create", "--insecure", index, *names.values())
    docker("manifest", "annotate", index, names["v7"], "--arch", "arm", "--variant", "v7")
    digest = docker("manifest", "push", "--insecure", "--purge", index).strip().splitlines()[-1]
    stored = berth.request("GET", f"/v2/{project}/manifests/all", f"repository:{project}:pull")
    assert digest_of(stored.content) == digest
    platforms = [entry["platform"] for entry in stored.json()["manifests"]]
    assert {"architecture": "arm", "os": "linux", "variant": "v7"} in platforms
    shown = json.loads(docker("manifest", "inspect", "--insecure", index))
    assert shown["manifests"] == stored.json()["manifests"]
    for name in (index, f"{berth.registry}/{project}@{digest}"):
        for platform, image in (("linux/amd64", made["plain"]), ("linux/arm/v7", made["v7"])):
            docker.remove_images()
            docker("pull", "--quiet", "--platform", platform, name)
            assert docker("images", "--quiet", "--no-trunc").split() == [image.id]


def test_an_index_of_images_of_another_project(
    docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    """``docker manifest push`` mounts what the index needs."""
    login(docker, berth, alice)
    image = images.tiny("from elsewhere")
    source = push(docker, berth, image, project)
    before = berth.bytes_on_disk()
    index = f"{berth.registry}/{project}-list/all:1"
    docker("manifest", "create", "--insecure", index, source)
    docker("manifest", "push", "--insecure", "--purge", index)
    assert berth.bytes_on_disk() == before
    docker.remove_images()
    docker("pull", "--quiet", index)
    assert docker.inspect(index)["Id"] == image.id


def test_the_same_image_under_a_second_project(
    docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    """Its layers are mounted from the first: nothing is sent, and no byte is kept twice."""
    image = images.large(4, seed=11)
    login(docker, berth, alice)
    name = push(docker, berth, image, project)
    before = berth.bytes_on_disk()
    second = f"{berth.registry}/{project}-second:1"
    docker("tag", name, second)
    assert f"Mounted from {project}" in docker("push", second)
    assert berth.bytes_on_disk() == before
    assert_stored(berth, image, f"{project}-second")


def test_no_mount_from_where_one_may_not_pull(
    docker: Docker, berth: Installation, alice: Person, project: str
) -> None:
    """Bob's docker knows where Alice's layers are and asks for them; he has to upload his own."""
    image = images.large(2, seed=12)
    login(docker, berth, alice)
    name = push(docker, berth, image, project)
    bob = person_at(berth, "bob")
    login(docker, berth, bob)
    own = f"{berth.registry}/bob/{project.rpartition('/')[2]}:1"
    before = berth.bytes_on_disk()
    docker("tag", name, own)
    printed = docker("push", own)
    assert "Mounted from" not in printed
    assert printed.count("Pushed") == len(image.layers)
    # The store keeps a digest once, whoever has uploaded it.
    assert berth.bytes_on_disk() == before
    docker.remove_images()
    docker("pull", "--quiet", own)
    assert docker.inspect(own)["Id"] == image.id
    with pytest.raises(Refused, match=r"denied|access forbidden"):
        docker("pull", name)


def test_an_empty_layer(
    docker: Docker, berth: Installation, alice: Person, project: str, tmp_path: Path
) -> None:
    """A tar without members, and a file of no bytes, which every client and registry has met."""
    login(docker, berth, alice)
    image = Image((images.layer({}), images.layer({"nothing": b""}), images.layer({})))
    name = push(docker, berth, image, project)
    assert_stored(berth, image, project)
    docker.remove_images()
    docker("pull", "--quiet", name)
    assert docker.inspect(name)["Id"] == image.id


def test_an_image_without_layers(
    docker: Docker, berth: Installation, alice: Person, project: str, tmp_path: Path
) -> None:
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL nothing=inside\n")
    login(docker, berth, alice)
    name = f"{berth.registry}/{project}:empty"
    docker("build", "--quiet", "--tag", name, tmp_path)
    built = docker.inspect(name)
    docker("push", "--quiet", name)
    stored = berth.request("GET", f"/v2/{project}/manifests/empty", f"repository:{project}:pull")
    assert stored.json()["config"]["digest"] == built["Id"]
    docker.remove_images()
    docker("pull", "--quiet", name)
    assert docker.inspect(name)["Id"] == built["Id"]


def test_pull_all_tags(docker: Docker, berth: Installation, alice: Person, project: str) -> None:
    login(docker, berth, alice)
    made = {f"v{n}": images.tiny(f"tag {n}") for n in range(4)}
    for tag, image in made.items():
        push(docker, berth, image, project, tag)
    docker("push", "--quiet", "--all-tags", f"{berth.registry}/{project}")
    docker.remove_images()
    docker("pull", "--quiet", "--all-tags", f"{berth.registry}/{project}")
    for tag, image in made.items():
        assert docker.inspect(f"{berth.registry}/{project}:{tag}")["Id"] == image.id


def test_after_logout(docker: Docker, berth: Installation, alice: Person, project: str) -> None:
    """What was allowed is refused, and says so; a tag that is missing looks no different."""
    login(docker, berth, alice)
    name = push(docker, berth, images.tiny("signed out"), project)
    docker("logout", berth.registry)
    config = json.loads((docker._config / "config.json").read_text())
    assert not config.get("auths")
    with pytest.raises(Refused, match=r"denied|access forbidden|no basic auth") as pushing:
        docker("push", name)
    assert "500" not in str(pushing.value)
    docker.remove_images()
    said = []
    for wanted in (name, f"{berth.registry}/{project}:missing", f"{berth.registry}/no/such:1"):
        with pytest.raises(Refused, match=r"denied|access forbidden") as pulling:
            docker("pull", wanted)
        said.append(DENIAL.sub("", str(pulling.value).rpartition('": ')[2]))
    assert len(set(said)) == 1, said
