"""A multi-platform image with attestations as BuildKit writes them: what the pages show of it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from gitlab.container_registry.client.responses import ManifestDetails, StoredManifest
from gitlab.container_registry.contents import provenance, statements
from tests import buildkit
from tests.gitlab.container_registry.contents import written
from tests.gitlab.container_registry.layers.archives import digest_of
from tests.gitlab.container_registry.layers.played_layers import push

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]


@pytest.fixture
def url(played: Any, web: Any) -> str:
    """The image ``v1`` for two platforms, with an SBOM and provenance of each."""

    def put_blob(content: bytes) -> dict[str, Any]:
        played.blobs[digest_of(content)] = content
        return {"digest": digest_of(content), "size": len(content)}

    def put_manifest(content: bytes) -> dict[str, Any]:
        played.manifests[digest_of(content)] = StoredManifest(buildkit.MANIFEST, content)
        return {"digest": digest_of(content), "size": len(content)}

    images = []
    for architecture in ("amd64", "arm64"):
        platform = {"os": "linux", "architecture": architecture}
        image = push(played, config=platform)
        images.append(
            {"mediaType": buildkit.MANIFEST, "digest": image, "size": 500, "platform": platform}
        )
    content = buildkit.index(images, put_blob, put_manifest)
    played.push(web.path, "v1", "b", media_type=buildkit.INDEX)
    played.manifests["sha256:" + "b" * 64] = StoredManifest(buildkit.INDEX, content)
    played.details = {
        each["digest"]: ManifestDetails(each["digest"], each["mediaType"], size_bytes=1000)
        for each in json.loads(content)["manifests"]
    }
    return f"/acme/app/container_registry/{web.pk}"


def test_platforms_and_what_is_attested_of_each(url: str, browser: Any, carol: Any) -> None:
    page = browser(carol).get(f"{url}/tags/v1")
    names = [str(line["part"].platform) for line in page.context["platforms"]]
    # What is attested is no platform.
    assert names == ["linux/amd64", "linux/arm64"]
    told = [(line["each"].about, line["each"].how) for line in page.context["belongings"]]
    assert told == [("linux/amd64", "index"), ("linux/arm64", "index")]
    for line in page.context["belongings"]:
        assert [file["file"].kind.value for file in line["files"]] == ["SBOM", "Provenance"]


def test_the_sbom_and_the_provenance(url: str, browser: Any, carol: Any) -> None:
    page = browser(carol).get(f"{url}/tags/v1").content.decode()
    sbom, built = re.findall(rf'href="({url}/manifests/[^"]+/files/[^"]+)"', page)[:2]
    listed = browser(carol).get(sbom).content.decode()
    for words in ("alpine-baselayout", "3.7.0-r0", "GPL-2.0-only", "apk", "golang", "SPDX 2.3"):
        assert words in listed
    found = browser(carol).get(built)
    assert found.context["provenance"].commit == written.COMMIT
    text = found.content.decode()
    for words in ("actions/runs/3709599520", "github.com/acme/app", "Dockerfile", "production"):
        assert words in text


@pytest.mark.parametrize("name", ["provenance-0.2.json", "provenance-1.json"])
def test_provenance_of_either_version(name: str) -> None:
    said = buildkit.statement(name, "sha256:" + "a" * 64)
    statement = statements.read(json.dumps(said).encode())
    assert statement is not None
    found = provenance.read(statement)
    assert found.builder_url == "https://github.com/acme/app/actions/runs/3709599520"
    assert found.source_url == "https://github.com/acme/app.git"
    assert (found.commit, found.entry_point) == (written.COMMIT, "Dockerfile")
    assert found.commit_url == f"https://github.com/acme/app/commit/{written.COMMIT}"
    assert found.invocation == "rpv7a389uzil5lqmrgwhijwjz"
    assert ("build-arg:MODE", "production") in found.parameters.entries
    assert found.started_at is not None
    assert found.finished_at is not None
    assert found.materials.entries[0].uri.startswith("pkg:docker/alpine@3.22")
