"""Renaming and transferring with a real client: the images are at the new name, whole."""

from __future__ import annotations

import re
import threading
from pathlib import Path

import httpx
import pytest

from tests.e2e import images
from tests.e2e.browsing import Browser
from tests.e2e.clients import Refused, Skopeo
from tests.e2e.conftest import Person
from tests.e2e.images import digest_of
from tests.e2e.installation import Installation

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("containers")]


@pytest.fixture
def signed_in(skopeo: Skopeo, berth: Installation, alice: Person) -> Skopeo:
    skopeo.login(berth.registry, alice.username, alice.password)
    return skopeo


@pytest.fixture
def browser(berth: Installation, alice: Person) -> Browser:
    return Browser(berth, alice)


def push(client: Skopeo, berth: Installation, name: str, there: Path) -> None:
    client("copy", "--dest-tls-verify=false", f"oci:{there}", f"docker://{berth.registry}/{name}")


def pull(client: Skopeo, berth: Installation, name: str, to: Path) -> None:
    client("copy", "--src-tls-verify=false", f"docker://{berth.registry}/{name}", f"oci:{to}")


def test_rename(
    signed_in: Skopeo, berth: Installation, browser: Browser, project: str, tmp_path: Path
) -> None:
    there = images.write_layout(tmp_path / "there", images.many_layers(5))
    for name in (f"{project}:1", f"{project}/worker:1"):
        push(signed_in, berth, name, there)
    page = browser.send(f"/{project}/-/path", path=f"{project.rpartition('/')[2]}-new")
    assert page.url.path == f"/{project}-new/edit"
    for number, name in enumerate((f"{project}-new:1", f"{project}-new/worker:1")):
        pull(signed_in, berth, name, tmp_path / f"back-{number}")
        assert images.layout_blobs(tmp_path / f"back-{number}") == images.layout_blobs(there)
    for name in (f"{project}:1", f"{project}/worker:1"):
        with pytest.raises(Refused):
            pull(signed_in, berth, name, tmp_path / "gone")
    assert browser.http.get(f"/{project}").status_code == 404
    listed = browser.http.get(f"/{project}-new/container_registry")
    assert f"{project}-new/worker" in re.sub(r"<wbr>|\u200b", "", listed.text)
    # A push to the new name goes into the same image: nothing is uploaded twice.
    push(signed_in, berth, f"{project}-new:2", there)


def test_transfer(
    signed_in: Skopeo, berth: Installation, browser: Browser, project: str, tmp_path: Path
) -> None:
    group = f"harbour-{project.rpartition('-')[2]}"
    browser.send("/groups/new", name=group, path=group, visibility="public")
    image = images.tiny("transferred")
    push(signed_in, berth, f"{project}:1", images.write_layout(tmp_path / "there", image))
    moved = f"{group}/{project.rpartition('/')[2]}"
    page = browser.send(f"/{project}/-/transfer", namespace=group)
    assert page.url.path == f"/{moved}"
    raw = signed_in("inspect", "--raw", "--tls-verify=false",
                    f"docker://{berth.registry}/{moved}:1")  # fmt: skip
    assert digest_of(raw.encode()) == digest_of(image.manifest)
    with pytest.raises(Refused):
        pull(signed_in, berth, f"{project}:1", tmp_path / "gone")
    browser.send(f"/groups/{group}/-/path", path=f"{group}-2")
    pull(signed_in, berth, f"{group}-2/{project.rpartition('/')[2]}:1", tmp_path / "again")


def test_an_old_token_pushes_nothing_to_the_old_name(
    signed_in: Skopeo, berth: Installation, browser: Browser, project: str, tmp_path: Path
) -> None:
    push(signed_in, berth, f"{project}:1", images.write_layout(tmp_path / "there", images.tiny()))
    token = berth.token(f"repository:{project}:pull,push", username="alice")
    browser.send(f"/{project}/-/path", path=f"{project.rpartition('/')[2]}-new")
    opened = httpx.post(
        f"{berth.registry_url}/v2/{project}/blobs/uploads/",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert opened.status_code == 403
    assert opened.json()["errors"][0]["code"] == "DENIED"


def test_pushes_all_the_while(
    signed_in: Skopeo, berth: Installation, browser: Browser, project: str, tmp_path: Path
) -> None:
    """Each push that was answered with success is at the new name, or under the project of its own
    that it has made at the old one; no tag is half an image."""
    there = images.write_layout(tmp_path / "there", images.many_layers(3))
    push(signed_in, berth, f"{project}:0", there)
    pushed: list[str] = []
    stop = threading.Event()

    def keep_pushing() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            try:
                push(signed_in, berth, f"{project}:{number}", there)
            except Refused:
                continue
            pushed.append(str(number))

    thread = threading.Thread(target=keep_pushing)
    thread.start()
    try:
        new = f"{project}-new"
        page = browser.send(f"/{project}/-/path", path=new.rpartition("/")[2])
        assert page.url.path == f"/{new}/edit"
    finally:
        stop.set()
        thread.join(60)

    def tags(name: str) -> list[str]:
        answer = berth.request("GET", f"/v2/{name}/tags/list", f"repository:{name}:pull")
        found: list[str] = answer.json().get("tags") or []
        return found

    assert sorted(set(tags(new)) | set(tags(project))) == sorted({"0", *pushed})
    for name in (new, project):
        for tag in tags(name):
            pull(signed_in, berth, f"{name}:{tag}", tmp_path / f"{name.replace('/', '_')}-{tag}")
