"""TLS on our own listeners: docker trusts it through certs.d, the pages and the worker by a
bundle.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e import certificates, images
from tests.e2e.clients import Docker, Refused, Skopeo, trust
from tests.e2e.components import free_port
from tests.e2e.conftest import Person, person_at
from tests.e2e.installation import Installation, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("docker")]

CERTS_D = Path("/etc/docker/certs.d")


@pytest.fixture
def site(make_installation: Any, tmp_path: Path) -> Installation:
    """An installation whose certificate docker verifies, which it does at no loopback address."""
    host = certificates.own_address() or "localhost"
    installation: Installation = make_installation(
        EXTERNAL_URL=f"https://{host}:{free_port()}",
        REGISTRY_EXTERNAL_URL=f"https://{host}:{free_port()}",
        **certificates.make(tmp_path / "certificates").settings,
        BERTH__GC_REVIEW_DELAY="10s",
        BERTH__UNDO_WINDOW="2s",
        BERTH__UPLOAD_EXPIRY="20s",
    )
    return installation


@pytest.fixture
def trusted(site: Installation) -> Iterator[Path]:
    """Where docker looks for the authority of `site`."""
    folder = CERTS_D / site.registry
    made = [one for one in (CERTS_D.parent, CERTS_D) if not one.exists()]
    assert site.authority is not None
    folder.mkdir(parents=True)
    shutil.copy(site.authority, folder / "ca.crt")
    yield folder
    shutil.rmtree(folder)
    for one in reversed(made):
        one.rmdir()


def test_docker(docker: Docker, site: Installation, request: pytest.FixtureRequest) -> None:
    """Login, push, an index, pull and delete; nobody is told to be insecure."""
    alice = person_at(site, "alice")
    if certificates.own_address():
        with pytest.raises(Refused, match="unknown authority"):
            docker.login(site.registry, alice.username, alice.password)
    request.getfixturevalue("trusted")
    assert "Login Succeeded" in docker.login(site.registry, alice.username, alice.password)
    made = {name: images.tiny(name, architecture=name) for name in ("amd64", "arm64")}
    names = {name: f"{site.registry}/alice/app:{name}" for name in made}
    for name, image in made.items():
        docker.load(image, names[name])
        docker("push", "--quiet", names[name])
    index = f"{site.registry}/alice/app:all"
    docker("manifest", "create", index, *names.values())
    docker("manifest", "push", "--purge", index)
    docker.remove_images()
    docker("pull", "--quiet", "--platform", "linux/arm64", index)
    assert docker.inspect(index)["Id"] == made["arm64"].id
    scope = "repository:alice/app:pull,delete"
    answer = site.request("DELETE", "/v2/alice/app/manifests/all", scope)
    assert answer.status_code == 202
    docker.remove_images()
    with pytest.raises(Refused, match=r"manifest unknown|not found"):
        docker("pull", index)
    docker("pull", "--quiet", names["amd64"])
    # HEAD that is refused, as each push begins, says nothing in the log.
    assert " WARNING " not in site.log()


def test_the_pages_and_the_worker_trust_the_registry(
    skopeo: Skopeo, site: Installation, tmp_path: Path
) -> None:
    """The page of an image asks the registry for tags; the worker deletes the image and its
    bytes.
    """
    alice = person_at(site, "alice")
    before = site.bytes_on_disk()
    there = images.write_layout(tmp_path / "there", images.large(1))
    skopeo.login(site.registry, alice.username, alice.password, trust(site))
    name = f"docker://{site.registry}/alice/app:over-tls"
    skopeo("copy", trust(site, "dest-"), f"oci:{there}", name)
    with Browser(site, alice) as browser:
        listed = browser.http.get("/alice/app/container_registry")
        address = re.search(r'href="(/alice/app/container_registry/\d+)"', listed.text)
        assert address, listed.text
        assert "over-tls" in browser.http.get(address[1]).text
        browser.send(f"{address[1]}/delete")
    wait_until(lambda: site.bytes_on_disk() <= before, timeout=120)
    with pytest.raises(Refused, match="unknown"):
        skopeo("inspect", trust(site), name)
    assert "CERTIFICATE_VERIFY_FAILED" not in site.log()


class Browser:
    """A person at the pages, without JavaScript."""

    def __init__(self, site: Installation, person: Person) -> None:
        self.http = httpx.Client(
            base_url=site.url, follow_redirects=True, timeout=60, verify=site.verify
        )
        self.send("/users/sign_in", login=person.username, password=person.password)

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, *_: object) -> None:
        self.http.close()

    def send(self, address: str, **fields: Any) -> httpx.Response:
        """Fill in the form of a page."""
        page = self.http.get(address)
        page.raise_for_status()
        token = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
        assert token, page.text
        answer = self.http.post(
            address,
            data={"csrfmiddlewaretoken": token[1], **fields},
            headers={"Referer": str(page.url)},
        )
        answer.raise_for_status()
        return answer
