"""Artifacts: oras pushes, attaches and discovers; signatures as cosign leaves them."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import oras.client
import oras.oci
import pytest

from gitlab.container_registry.contents import helm
from tests.e2e import images
from tests.e2e.browsing import Browser
from tests.e2e.clients import Refused, Skopeo, trust
from tests.e2e.conftest import Person, person_at
from tests.e2e.images import MANIFEST, Image, digest_of
from tests.e2e.installation import Installation
from tests.e2e.wire import EMPTY, Collector, Walk, Wire
from tests.gitlab.container_registry.contents import written
from tests.gitlab.container_registry.contents.written import payload

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("artifacts")]

SIGNATURE = "application/vnd.dev.cosign.artifact.sig.v1+json"
SIMPLE_SIGNING = "application/vnd.dev.cosign.simplesigning.v1+json"
EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


class Oras:
    """oras-py, which asks for one token and keeps it: here one that may pull and push."""

    def __init__(self, berth: Installation, person: Person, repository: str) -> None:
        verify = str(berth.authority) if berth.authority else True
        self.client = oras.client.OrasClient(
            hostname=berth.registry, insecure=berth.authority is None, tls_verify=verify
        )
        self.client.auth.set_basic_auth(person.username, person.password)
        scope = f"repository:{repository}:pull,push"
        self.client.auth.set_token_auth(berth.token(scope, username=person.username))
        self.name = f"{berth.registry}/{repository}"

    def push(self, tag: str, files: list[Path], **options: Any) -> dict[str, Any]:
        """Push files; the manifest's descriptor."""
        answer = self.client.push(
            target=f"{self.name}:{tag}",
            files=[f"{path}:text/plain" for path in files],
            disable_path_validation=True,
            quiet=True,
            **options,
        )
        content = answer.request.body
        payload = content if isinstance(content, bytes) else content.encode()
        assert answer.headers["Docker-Content-Digest"] == digest_of(payload)
        return {"mediaType": MANIFEST, "digest": digest_of(payload), "size": len(payload)}


def test_oras_push_attach_discover_and_pull(either: Installation, tmp_path: Path) -> None:
    """Files, one of them without a byte, with a report attached: found as a referrer,
    pulled back.
    """
    berth, repository = either, "alice/oras"
    client = Oras(berth, person_at(berth, "alice"), repository)
    files = {"notes.txt": "what changed", "nothing": ""}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    pushed = client.push("1", [tmp_path / name for name in files])

    (tmp_path / "report.txt").write_text("no faults found")
    subject = oras.oci.Subject(pushed["mediaType"], pushed["digest"], pushed["size"])
    attached = client.push("report", [tmp_path / "report.txt"], subject=subject)

    with Wire(berth, repository, username="alice") as wire:
        listed = wire.referrers(pushed["digest"])
        assert [entry["digest"] for entry in listed] == [attached["digest"]]
        assert wire.get("manifests/report").json()["subject"]["digest"] == pushed["digest"]
    pulled = client.client.pull(target=f"{client.name}:1", outdir=str(tmp_path / "out"))
    assert {Path(path).name: Path(path).read_text() for path in pulled} == files
    found = client.client.pull(
        target=f"{client.name}@{listed[0]['digest']}", outdir=str(tmp_path / "report")
    )
    assert [Path(path).read_text() for path in found] == ["no faults found"]
    assert sorted(client.client.get_tags(client.name)) == ["1", "report"]
    assert set(Walk(berth).repository(repository)) == {"1", "report"}


def test_oras_in_small_chunks(berth: Installation, tmp_path: Path) -> None:
    client = Oras(berth, person_at(berth, "alice"), "alice/chunks")
    (tmp_path / "noise").write_bytes(os.urandom(1_000_000))
    client.push("1", [tmp_path / "noise"], do_chunked=True, chunk_size=65_536)
    pulled = client.client.pull(target=f"{client.name}:1", outdir=str(tmp_path / "out"))
    assert Path(pulled[0]).read_bytes() == (tmp_path / "noise").read_bytes()


def test_oras_without_a_right(berth: Installation, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not welcome")
    client = Oras(berth, person_at(berth, "bob"), "alice/not-bobs")
    with pytest.raises(ValueError, match=r"UNAUTHORIZED|DENIED"):
        client.push("1", [tmp_path / "file"])


def test_what_pages_show_of_artifacts(berth: Installation, tmp_path: Path) -> None:
    """Files of oras's with a report attached, and a chart as Helm pushes it."""
    alice = person_at(berth, "alice")
    client = Oras(berth, alice, "alice/shown")
    for name, text in (("notes.txt", "what changed"), ("report.txt", "no faults found")):
        (tmp_path / name).write_text(text)
    pushed = client.push("1", [tmp_path / "notes.txt"])
    subject = oras.oci.Subject(pushed["mediaType"], pushed["digest"], pushed["size"])
    client.push("report", [tmp_path / "report.txt"], subject=subject)
    with Wire(berth, "alice/shown", username="alice") as wire:
        files = {
            "app/values.yaml": b"replicas: 3",
            "app/README.md": b"# How to install",
            "app/Chart.yaml": b"name: app",
        }
        config = {**wire.push_blob(payload(written.CHART)), "mediaType": helm.CONFIG}
        archive = wire.push_blob(written.chart_archive(files))
        layers = [{**archive, "mediaType": helm.CONTENT}]
        chart = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        wire.push_manifest(chart, "1.2.3")

    browser = Browser(berth, alice)
    listed = browser.http.get("/alice/shown/container_registry").text
    here = re.search(r'href="(/alice/shown/container_registry/\d+)"', listed)
    assert here
    page = browser.read(f"{here[1]}/tags/1")
    for words in ("notes.txt", "oras pull", "What belongs to it"):
        assert words in page
    page = browser.http.get(f"{here[1]}/tags/1").text
    file = re.search(rf'href="({here[1]}/manifests/[^"]+/files/[^"]+)"', page)
    assert file
    assert "what changed" in browser.read(file[1])
    page = browser.read(f"{here[1]}/tags/1.2.3")
    for words in ("Helm chart", "replicas: 3", "How to install", "helm pull", "redis (^1)"):
        assert words in page


# Signatures


@pytest.fixture
def quick(make_installation: Any) -> Installation:
    """Collects what nobody holds within seconds."""
    installation: Installation = make_installation(
        BERTH__GC_REVIEW_DELAY="5s", BERTH__UNDO_WINDOW="1s", BERTH__UPLOAD_EXPIRY="20s"
    )
    return installation


def sign_by_tag(wire: Wire, signed: dict[str, Any]) -> str:
    """What ``cosign sign`` pushed for years: an image under a tag made of the digest. The tag."""
    payload = json.dumps({"critical": {"image": {"docker-manifest-digest": signed["digest"]}}})
    config = json.dumps({"architecture": "", "os": "", "rootfs": {"type": "layers"}}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": images.CONFIG, **wire.push_blob(config)},
        "layers": [
            {
                "mediaType": SIMPLE_SIGNING,
                **wire.push_blob(payload.encode()),
                "annotations": {"dev.cosignproject.cosign/signature": "MEUCIQ=="},
            }
        ],
    }
    tag = f"{signed['digest'].replace(':', '-')}.sig"
    wire.push_manifest(manifest, tag)
    return tag


def sign_by_subject(wire: Wire, signed: dict[str, Any]) -> str:
    """What it pushes with OCI 1.1: a referrer with an artifact type and no tag. Its digest."""
    payload = json.dumps({"signs": signed["digest"]}).encode()
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "artifactType": SIGNATURE,
        "config": {"mediaType": EMPTY_TYPE, **wire.push_blob(EMPTY)},
        "layers": [{"mediaType": SIMPLE_SIGNING, **wire.push_blob(payload)}],
        "subject": signed,
    }
    return str(wire.push_manifest(manifest)["digest"])


def test_signatures_live_as_long_as_the_image(
    quick: Installation, skopeo: Skopeo, tmp_path: Path
) -> None:
    """Both kinds are listed, outlast many collections, and leave with the image."""
    collector = Collector(quick)
    before = quick.bytes_on_disk()
    with Wire(quick, "root/signed") as wire:
        signed = wire.push(images.tiny("signed"), "1")
        tag = sign_by_tag(wire, signed)
        referrer = sign_by_subject(wire, signed)
        # Untagged and pushed last: once it has gone, the others have been reviewed.
        litter = wire.push(images.tiny("litter"))
        assert wire.tags() == ["1", tag]
        for parameters in ({}, {"artifactType": SIGNATURE}):
            listed = wire.referrers(signed["digest"], **parameters)
            assert [entry["digest"] for entry in listed] == [referrer]
            assert listed[0]["artifactType"] == SIGNATURE
        collector.until(lambda: not wire.is_there(litter["digest"]))
        assert set(Walk(quick).repository("root/signed", also=[referrer])) == {"1", tag}
        assert len(wire.referrers(signed["digest"])) == 1

        skopeo.login(quick.registry, "root", quick.root_password)
        skopeo("delete", trust(quick), f"docker://{quick.registry}/root/signed:1")
        collector.until(lambda: not wire.is_there(referrer))
        collector.until(lambda: wire.tags() == [])
        collector.until(lambda: quick.bytes_on_disk() <= before)
        with pytest.raises(Refused, match="unknown"):
            skopeo("inspect", "--raw", trust(quick), f"docker://{quick.registry}/root/signed:{tag}")


def test_skopeo_takes_the_signature_along(
    berth: Installation, skopeo: Skopeo, tmp_path: Path
) -> None:
    """Tags of signatures are tags: ``sync`` carries them to wherever the image goes."""
    with Wire(berth, "root/sync/signed") as wire:
        signed = wire.push(Image((images.layer({"a": b"a"}),)), "1")
        tag = sign_by_tag(wire, signed)
    skopeo.login(berth.registry, "root", berth.root_password)
    source, target = f"{berth.registry}/root/sync/signed", f"{berth.registry}/root/mirror"
    both = (trust(berth, "src-"), trust(berth, "dest-"))
    skopeo("sync", "--src", "docker", "--dest", "docker", *both, source, target)
    assert Walk(berth).repository("root/mirror/signed").keys() == {"1", tag}
