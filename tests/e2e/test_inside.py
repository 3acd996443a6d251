"""What pages say of an image that buildah has built, with an attestation as BuildKit writes it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests import buildkit
from tests.e2e.browsing import Browser
from tests.e2e.clients import Buildah, trust
from tests.e2e.conftest import Person
from tests.e2e.images import INDEX, digest_of
from tests.e2e.installation import Installation
from tests.e2e.wire import Wire
from tests.gitlab.container_registry.contents import written

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("containers")]

CONTAINERFILE = """FROM scratch
LABEL org.opencontainers.image.source=https://github.com/acme/app
ENV MODE=production
COPY hello /
EXPOSE 8080
USER 1000
ENTRYPOINT ["/hello"]
"""


def test_from_the_build_to_its_sbom(
    berth: Installation, buildah: Buildah, alice: Person, project: str, tmp_path: Path
) -> None:
    (tmp_path / "Containerfile").write_text(CONTAINERFILE)
    (tmp_path / "hello").write_text("hello")
    buildah.login(berth.registry, alice.username, alice.password, trust(berth))
    name = f"{berth.registry}/{project}:built"
    buildah("build", "--quiet", "--layers", "--tag", name, tmp_path)
    buildah("push", trust(berth), "--quiet", name)
    arm = f"{berth.registry}/{project}:arm"
    buildah("build", "--quiet", "--layers", "--platform", "linux/arm64", "--tag", arm, tmp_path)
    buildah("push", trust(berth), "--quiet", arm)
    with Wire(berth, project, username=alice.username) as wire:
        image = json.loads(wire.get("manifests/built").content)
        attest(wire, *(wire.get(f"manifests/{tag}").content for tag in ("built", "arm")))

    browser = Browser(berth, alice)
    listed = browser.http.get(f"/{project}/container_registry").text
    found = re.search(rf'href="(/{project}/container_registry/\d+)"', listed)
    assert found
    page = browser.read(f"{found[1]}/tags/built")
    for words in ("/hello", "MODE", "production", "8080/tcp", "1000", "github.com/acme/app"):
        assert words in page
    # Each layer stands in the history, with what made it.
    for layer in image["layers"]:
        assert layer["digest"].removeprefix("sha256:")[:12] in page
    assert "COPY" in page

    assert "SBOM provenance" in browser.read(found[1])
    multi = browser.http.get(f"{found[1]}/tags/multi").text
    words = browser.read(f"{found[1]}/tags/multi")
    assert "linux/amd64" in words
    assert "linux/arm64" in words
    files = re.findall(rf'href="({found[1]}/manifests/[^"]+/files/[^"]+)"', multi)
    assert len(files) == 4
    sbom, provenance = files[:2]
    assert "alpine-baselayout 3.7.0-r0 GPL-2.0-only" in browser.read(sbom)
    assert browser.http.get(f"{sbom}?raw=1").json()["predicateType"] == "https://spdx.dev/Document"
    assert written.COMMIT in browser.read(provenance)
    platform = re.search(rf'class="table__name" href="({found[1]}/manifests/[^"/]+)"', multi)
    assert platform
    assert "How it runs" in browser.read(platform[1])

    # The developer who broke `built` brings back what it was.
    with Wire(berth, project, username=alice.username) as wire:
        wire.push_manifest(wire.get("manifests/multi").content, "built", INDEX)
    address = f"{found[1]}/tags/built"
    broken = browser.http.get(address).text
    interval = re.search(r'name="interval" value="(\d+)"', broken)
    assert interval
    browser.http.post(
        f"{address}/restore",
        data={
            "csrfmiddlewaretoken": _token(broken),
            "interval": interval[1],
        },
        headers={"Referer": f"{berth.url}{address}"},
    ).raise_for_status()
    again = browser.read(address)
    assert "How it runs" in again
    assert re.search(rf"restored [a-z0-9 ]+ by {alice.username}", again)


def _token(page: str) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page)
    assert found
    return found[1]


def attest(wire: Wire, *manifests: bytes) -> None:
    """Push an index ``multi`` of some images, and of statements about them, as BuildKit does."""
    images = [
        {
            "mediaType": json.loads(manifest)["mediaType"],
            "digest": digest_of(manifest),
            "size": len(manifest),
            "platform": {"os": "linux", "architecture": architecture},
        }
        for manifest, architecture in zip(manifests, ("amd64", "arm64"), strict=False)
    ]
    index = buildkit.index(images, wire.push_blob, wire.push_manifest)
    wire.push_manifest(index, "multi", INDEX)
