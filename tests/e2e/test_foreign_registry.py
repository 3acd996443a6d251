"""GitLab's side with Debian's docker-registry: tokens, pages, deletion, notifications."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import foreign, images
from tests.e2e.browsing import Browser
from tests.e2e.clients import Docker, Refused, Skopeo
from tests.e2e.conftest import Person, person_at
from tests.e2e.foreign import EVENTS_SECRET, Line
from tests.e2e.images import MANIFEST, digest_of
from tests.e2e.installation import Installation, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("containers")]

_numbers = itertools.count()
PATIENCE = 120
NOTE = "A registry without Berth"


@pytest.fixture(scope="module")
def berth(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """GitLab's side alone, and theirs as its registry."""
    with foreign.installation(tmp_path_factory.mktemp("foreign")) as found:
        yield found


@pytest.fixture
def name(alice: Person) -> str:
    return f"alice/app-{next(_numbers)}"


@pytest.fixture
def browser(berth: Installation, alice: Person) -> Browser:
    return Browser(berth, alice)


def row_of(berth: Installation, name: str) -> dict[str, Any] | None:
    """What GitLab knows of an image."""
    found: dict[str, Any] | None = berth.run_python(
        "from gitlab.container_registry.models import ContainerRepository\n"
        f"row = ContainerRepository.objects.filter(path={name!r}).first()\n"
        "answer = row and {'pk': row.pk, 'status': row.status,"
        " 'pushed': str(row.last_published_at or '')}"
    )
    return found


def image_page(berth: Installation, name: str) -> str:
    row = row_of(berth, name)
    assert row is not None
    return f"/{name}/container_registry/{row['pk']}"


@pytest.mark.parametrize("kind", ["EC", "RSA"])
def test_it_accepts_our_tokens(kind: str, skopeo: Skopeo, tmp_path: Path, request: Any) -> None:
    if kind == "EC":
        accept_tokens(request.getfixturevalue("berth"), skopeo, tmp_path)
        return
    with foreign.installation(tmp_path / "rsa", rsa=True) as berth:
        accept_tokens(berth, skopeo, tmp_path)


def accept_tokens(berth: Installation, skopeo: Skopeo, tmp_path: Path) -> None:
    challenge = httpx.get(f"{berth.registry_url}/v2/").headers["WWW-Authenticate"]
    assert f'realm="{berth.url}/jwt/auth"' in challenge
    assert berth.request("GET", "/v2/").status_code == 200

    alice = person_at(berth, "alice")
    skopeo.login(berth.registry, alice.username, alice.password)
    there = images.write_layout(tmp_path / "there", images.many_layers(3))
    name = f"docker://{berth.registry}/alice/app:1"
    skopeo("copy", "--dest-tls-verify=false", f"oci:{there}", name)
    skopeo("copy", "--src-tls-verify=false", name, f"oci:{tmp_path}/back")
    assert images.layout_blobs(tmp_path / "back") == images.layout_blobs(there)

    # A token is good for what it says and for nothing else.
    token = berth.token("repository:alice/app:pull", username="alice")
    refused = httpx.post(
        f"{berth.registry_url}/v2/alice/app/blobs/uploads/",
        headers={"Authorization": f"Bearer {token}"},
    )
    assert refused.status_code == 401
    assert "insufficient_scope" in refused.headers["WWW-Authenticate"]


def test_docker(berth: Installation, docker: Docker, alice: Person, name: str) -> None:
    docker.login(berth.registry, alice.username, alice.password)
    image, full = images.tiny(f"by docker to {name}"), f"{berth.registry}/{name}:1"
    docker.load(image, full)
    docker("push", full)
    docker.remove_images()
    docker("pull", full)
    assert docker.inspect(full)["Id"] == image.id
    with pytest.raises(Refused):
        docker("pull", f"{berth.registry}/{name}:none")


def test_pages_show_what_it_can_tell(
    berth: Installation, browser: Browser, skopeo: Skopeo, alice: Person, name: str, tmp_path: Path
) -> None:
    skopeo.login(berth.registry, alice.username, alice.password)
    several = [images.tiny(f"{name} {cpu}", architecture=cpu) for cpu in ("amd64", "arm64")]
    there = images.write_layout(tmp_path / "there", *several)
    whole = f"docker://{berth.registry}/{name}:all"
    skopeo("copy", "--all", "--dest-tls-verify=false", f"oci:{there}", whole)
    digest = Line(berth, name).push(several[0], MANIFEST, "1.0", "latest")

    # The token made the image known; the time of its last push comes by a notification.
    wait_until(lambda: (row_of(berth, name) or {}).get("pushed"), timeout=PATIENCE)
    listed = browser.read(f"/{name}/container_registry")
    assert NOTE in listed
    assert "just now" in listed or "ago" in listed
    address = image_page(berth, name)
    page = browser.read(address)
    assert "3 tags" in page
    assert re.search(r"\d (B|KiB|MiB)", page)
    assert digest[7:19] in page
    assert "amd64" in page
    assert "arm64" in page
    assert "neither who pushed a tag nor when" in page
    assert "1.0" in browser.read(f"{address}?q=1.")
    assert "latest" not in browser.read(f"{address}?q=1.").partition("Digest")[2]
    tag = browser.read(f"{address}/tags/latest")
    assert digest[7:19] in tag
    assert f"docker pull {berth.registry}/{name}:latest" in tag
    assert "Layers" in tag
    assert "keeps no history" in tag
    assert "What this tag pointed at" not in tag
    assert "linux/arm64" in browser.read(f"{address}/tags/all")
    question = browser.read(f"{address}/tags/delete?selected=1.0")
    assert "It can't be undone" in question.replace("&#x27;", "'")
    assert "this registry does not tell" in question
    assert browser.http.get(f"{address}/tags/none").status_code == 404


def test_deleting_a_tag_spares_its_siblings(
    berth: Installation, browser: Browser, alice: Person, name: str
) -> None:
    line = Line(berth, name)
    digest = line.push(images.tiny(name), MANIFEST, "1.0", "1.1", "1.2", "latest")
    address = image_page(berth, name)
    question = f"{address}/tags/delete?selected=1.0"
    answer = browser.send(question, selected="1.0", confirmed="yes")
    assert "Tag 1.0 of" in answer.text
    assert "Undo" not in answer.text.partition("Tag 1.0 of")[2][:400]
    assert line.tags() == ["1.1", "1.2", "latest"]
    assert [line.status(tag) for tag in ("1.0", "1.1", "latest", digest)] == [404, 200, 200, 200]

    several = f"{address}/tags/delete?selected=1.1&selected=1.2"
    browser.send(several, selected=["1.1", "1.2"], confirmed="yes")
    assert line.tags() == ["latest"]
    assert [line.status(tag) for tag in ("latest", digest)] == [200, 200]
    again = browser.send(several, selected=["1.1", "1.2"], confirmed="yes")
    assert "were gone already" in again.text
    # A push behind all that is told of as any other.
    before = row_of(berth, name)
    assert before is not None
    line.push(images.tiny(f"{name} after"), MANIFEST, "next")
    wait_until(lambda: (row_of(berth, name) or {})["pushed"] > before["pushed"], timeout=PATIENCE)


def test_the_worker_deletes_an_image_and_a_stale_push_makes_it_known_again(
    berth: Installation, browser: Browser, skopeo: Skopeo, alice: Person, name: str, tmp_path: Path
) -> None:
    skopeo.login(berth.registry, alice.username, alice.password)
    several = [images.tiny(f"{name} {cpu}", architecture=cpu) for cpu in ("amd64", "arm64")]
    there = images.write_layout(tmp_path / "there", *several)
    whole = f"docker://{berth.registry}/{name}:all"
    skopeo("copy", "--all", "--dest-tls-verify=false", f"oci:{there}", whole)
    stale = Line(berth, name)
    for number in range(5):
        stale.push(images.tiny(f"{name} {number}"), MANIFEST, f"v{number}", f"also-{number}")
    other = Line(berth, f"{name}/other")
    other.push(several[0], MANIFEST, "1")

    address = image_page(berth, name)
    browser.send(f"{address}/delete")
    progress = browser.http.get(f"{address}/progress").text
    assert any(word in progress for word in ("scheduled", "Being deleted", "Deleted"))
    wait_until(lambda: row_of(berth, name) is None, timeout=PATIENCE)
    assert stale.tags() == []
    assert [stale.status(digest_of(image.manifest)) for image in several] == [404, 404]
    assert "Deleted" in browser.http.get(f"{address}/progress").text
    assert other.tags() == ["1"]

    # A token outlives the image: its push is told by a notification.
    stale.push(images.tiny(f"{name} again"), MANIFEST, "again")
    wait_until(lambda: row_of(berth, name), timeout=PATIENCE)
    browser.read(f"{image_page(berth, name)}/tags/again")
    assert browser.http.get(f"{image_page(berth, name)}/tags/v1").status_code == 404


def test_notifications_want_the_secret(berth: Installation) -> None:
    address = f"{berth.url}/api/v4/container_registry_event/events"
    for secret, status in (("wrong", 401), (EVENTS_SECRET, 200)):
        answer = httpx.post(address, json={"events": []}, headers={"Authorization": secret})
        assert answer.status_code == status


def test_the_doctor_finds_nothing(berth: Installation) -> None:
    """What only our registry answers is not missed where the registry is another."""
    found = json.loads(berth.manage("doctor", "--format", "json"))
    assert found
    assert [finding for finding in found if not finding["ok"]] == []


@pytest.mark.slow
def test_an_upgrade_is_noticed(tmp_path: Path) -> None:
    """Berth's registry in the place of theirs: within some minute, and without a restart."""
    with foreign.installation(tmp_path / "theirs") as berth:
        alice, name = person_at(berth, "alice"), "alice/upgraded"
        Line(berth, name).push(images.tiny(name), MANIFEST, "1.0")
        browser, address = Browser(berth, alice), image_page(berth, name)
        assert NOTE in browser.read(address)
        berth.theirs.terminate()
        berth.theirs.wait(20)
        ours = Installation(
            tmp_path / "ours",
            EXTERNAL_URL=berth.url,
            REGISTRY_EXTERNAL_URL=berth.registry_url,
            BERTH__ROLES="registry",
            REGISTRY__ROOTCERTBUNDLE=str(berth.bundle),
        )
        ours.start()
        try:
            Line(berth, name).push(images.tiny(f"{name} in ours"), MANIFEST, "2.0")
            wait_until(lambda: NOTE not in browser.read(address), timeout=PATIENCE, interval=1)
            page = browser.read(address)
            assert "2.0" in page
            assert "by alice" in page
        finally:
            ours.discard()
