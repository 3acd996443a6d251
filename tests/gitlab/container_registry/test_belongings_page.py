"""What belongs to an image, and what its files hold: SBOMs, provenance, charts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gitlab.container_registry.client.responses import Referrer, StoredManifest
from gitlab.container_registry.contents import belonging, helm
from tests.gitlab.container_registry.contents import written
from tests.gitlab.container_registry.contents.hostile import BIDI
from tests.gitlab.container_registry.contents.written import payload
from tests.gitlab.container_registry.test_inside_page import put_image
from tests.gitlab.played_registry import INDEX, MANIFEST, digest

pytestmark = [pytest.mark.engineless, pytest.mark.django_db]

IN_TOTO = "application/vnd.in-toto+json"
UNKNOWN = {"os": "unknown", "architecture": "unknown"}


@pytest.fixture
def url(web: Any) -> str:
    return f"/acme/app/container_registry/{web.pk}"


def put_artifact(played: Any, letter: str, files: dict[str, Any], **more: Any) -> None:
    """An artifact by a letter: files by the letter of their digest, each with its predicate."""
    layers = []
    for each, (type_, predicate, body) in files.items():
        played.blobs[digest(each)] = body
        said = {"in-toto.io/predicate-type": predicate} if predicate else {}
        layers.append(
            {"mediaType": type_, "digest": digest(each), "size": len(body), "annotations": said}
        )
    document = json.dumps({"layers": layers, **more}).encode()
    played.manifests[digest(letter)] = StoredManifest(MANIFEST, document)


@pytest.fixture
def attested(played: Any) -> None:
    """An index as BuildKit pushes it: a platform, and an attestation about it."""
    put_image(played, "1")
    statement = written.statement("https://spdx.dev/Document", written.SPDX)
    files = {
        "6": (IN_TOTO, "https://spdx.dev/Document", payload(statement)),
        "7": (IN_TOTO, "https://slsa.dev/provenance/v0.2", payload(written.PROVENANCE_0_2)),
    }
    put_artifact(played, "2", files)
    about = {
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": digest("1"),
    }
    children = [
        {"digest": digest("1"), "platform": {"os": "linux", "architecture": "amd64"}},
        {"digest": digest("2"), "platform": UNKNOWN, "annotations": about},
    ]
    played.manifests[digest("b")] = StoredManifest(INDEX, payload({"manifests": children}))
    played.push("acme/app/web", "v1", "b", media_type=INDEX)


def test_attestations_of_an_index(
    url: str, played: Any, browser: Any, carol: Any, attested: None
) -> None:
    page = browser(carol).get(f"{url}/tags/v1")
    (line,) = page.context["belongings"]
    assert (line["each"].how, line["each"].about) == ("index", "linux/amd64")
    assert [part["file"].kind.value for part in line["files"]] == ["SBOM", "Provenance"]
    assert len(page.context["platforms"]) == 1


def test_an_sbom_is_readable(
    url: str, played: Any, browser: Any, carol: Any, attested: None
) -> None:
    page = browser(carol).get(f"{url}/manifests/{digest('2')}/files/{digest('6')}")
    text = page.content.decode()
    for words in ("openssl", "3.5.4-r0", "Apache-2.0", "busybox", "SPDX 2.3"):
        assert words in text
    filtered = browser(carol).get(f"{page.request['PATH_INFO']}?q=busy")
    assert [package.name for package in filtered.context["packages"]] == ["busybox"]
    raw = browser(carol).get(f"{page.request['PATH_INFO']}?raw=1")
    assert raw.content == played.blobs[digest("6")]
    assert raw["Content-Disposition"] == 'attachment; filename="666666666666.json"'


def test_provenance_is_readable(
    url: str, played: Any, browser: Any, carol: Any, attested: None
) -> None:
    page = browser(carol).get(f"{url}/manifests/{digest('2')}/files/{digest('7')}")
    text = page.content.decode()
    for words in (written.COMMIT, "Dockerfile", "actions/runs/7", "pkg:docker/alpine"):
        assert words in text
    assert f'href="https://github.com/acme/app/commit/{written.COMMIT}"' in text
    assert "not verified" in text


def test_who_sees_a_file(
    url: str,
    played: Any,
    browser: Any,
    alice: Any,
    carol: Any,
    mallory: Any,
    attested: None,
) -> None:
    for end in ("", "?raw=1"):
        page = f"{url}/manifests/{digest('2')}/files/{digest('6')}{end}"
        for user in (alice, carol):
            assert browser(user).get(page).status_code == 200
        assert browser(mallory).get(page).status_code == 404
        assert browser(None).get(page).status_code == 302
        # A blob that the manifest does not name is none of its files.
        for wrong in (digest("c"), digest("9")):
            assert browser(alice).get(page.replace(digest("6"), wrong)).status_code == 404


def test_referrers_are_a_tree(url: str, played: Any, browser: Any, carol: Any) -> None:
    put_image(played)
    played.push("acme/app/web", "v1", "b")
    sbom = Referrer(digest("6"), MANIFEST, 10, "application/spdx+json")
    signature = Referrer(digest("7"), MANIFEST, 5, "application/vnd.cncf.notary.signature")
    bundle = Referrer(
        digest("8"),
        MANIFEST,
        5,
        "application/vnd.dev.sigstore.bundle.v0.3+json",
        {"dev.sigstore.bundle.predicateType": "https://slsa.dev/provenance/v1"},
    )
    played.referring = {digest("b"): [sbom, bundle], digest("6"): [signature]}
    page = browser(carol).get(f"{url}/tags/v1")
    first, second = page.context["belongings"]
    assert (first["each"].kind.value, second["each"].kind.value) == ("SBOM", "Provenance")
    assert [line["each"].kind.value for line in first["below"]] == ["Signature"]


def test_cosigns_tags_lead_to_what_belongs_to_it(
    url: str, played: Any, browser: Any, carol: Any
) -> None:
    put_image(played)
    played.push("acme/app/web", "v1", "b")
    for kind in ("sig", "att"):
        played.push("acme/app/web", f"sha256-{'b' * 64}.{kind}", "5")
    page = browser(carol).get(f"{url}/tags/v1")
    found = [(line["each"].kind.value, line["each"].how) for line in page.context["belongings"]]
    assert found == [("Signature", "tag"), ("Attestation", "tag")]
    listed = browser(carol).get(url)
    assert [line["tag"].name for line in listed.context["lines"]] == ["v1"]
    shown = browser(carol).get(f"{url}?signatures=1")
    assert len(shown.context["lines"]) == 3


def test_a_foreign_registry_without_the_api(
    url: str, played: Any, browser: Any, carol: Any
) -> None:
    played.has_own_api = False
    put_image(played)
    played.push("acme/app/web", "v1", "b")
    listed = [{"digest": digest("6"), "size": 5, "artifactType": "application/spdx+json"}]
    played.manifests[f"sha256-{'b' * 64}"] = StoredManifest(INDEX, payload({"manifests": listed}))
    page = browser(carol).get(f"{url}/tags/v1")
    assert [line["each"].kind.value for line in page.context["belongings"]] == ["SBOM"]


def test_so_much_is_asked_and_no_more(url: str, played: Any, browser: Any, carol: Any) -> None:
    put_image(played)
    played.push("acme/app/web", "v1", "b")
    many = [Referrer(f"sha256:{n:064x}", MANIFEST, 5, BIDI) for n in range(100)]
    played.referring = {digest("b"): many, **{each.digest: many for each in many}}
    page = browser(carol).get(f"{url}/tags/v1")
    lines = page.context["belongings"]
    assert len(lines) == belonging.SHOWN
    assert page.context["more_belongings"]
    assert sum(len(line["below"]) for line in lines) == belonging.MAX_ASKED**2
    assert "\u202e" not in page.content.decode()


def test_a_chart(url: str, played: Any, browser: Any, carol: Any) -> None:
    archive = written.chart_archive(
        {"app/values.yaml": b"replicas: 2\n", "app/README.md": b"<script>alert(1)</script>"}
    )
    played.blobs[digest("c")] = payload(written.CHART)
    config = {
        "digest": digest("c"),
        "size": len(played.blobs[digest("c")]),
        "mediaType": helm.CONFIG,
    }
    put_artifact(played, "b", {"6": (helm.CONTENT, "", archive)}, config=config)
    played.push("acme/app/web", "1.2.3", "b", platforms=(), artifact_type=helm.CONFIG)
    text = browser(carol).get(f"{url}/tags/1.2.3").content.decode()
    for words in ("Helm chart", "What it does.", "replicas: 2", "helm pull", "redis (^1)"):
        assert words in text
    assert "<script>alert" not in text
    assert "docker pull" not in text
    assert "This image has no layers" not in text


def test_any_other_artifact_is_named_by_its_type(
    url: str, played: Any, browser: Any, carol: Any
) -> None:
    files = {"6": ("text/plain", "", b"hello"), "7": ("application/octet-stream", "", b"\0\1")}
    put_artifact(played, "b", files, artifactType="application/vnd.example+type")
    played.push("acme/app/web", "v1", "b", platforms=(), artifact_type="application/vnd.example")
    text = browser(carol).get(f"{url}/tags/v1").content.decode()
    for words in ("application/vnd.example", "text/plain", "oras pull"):
        assert words in text
    here = f"{url}/manifests/{digest('b')}/files"
    assert "hello" in browser(carol).get(f"{here}/{digest('6')}").content.decode()
    assert "This is no text" in browser(carol).get(f"{here}/{digest('7')}").content.decode()


def test_a_file_that_is_too_large_for_a_page(
    url: str, played: Any, browser: Any, carol: Any
) -> None:
    put_artifact(played, "b", {"6": ("application/spdx+json", "", b"{}")})
    document = json.loads(played.manifests[digest("b")].payload)
    document["layers"][0]["size"] = 10**12
    played.manifests[digest("b")] = StoredManifest(MANIFEST, payload(document))
    page = browser(carol).get(f"{url}/manifests/{digest('b')}/files/{digest('6')}")
    assert "oras blob fetch" in page.content.decode()
