"""``manage.py registry_import`` on a folder that Debian's docker-registry has written."""

from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.core.management import CommandError, call_command

from registry import media_types
from registry.models import Event, Manifest, ManifestChild, Repository, Review, Tag
from registry.services import blobs, manifests, tags
from registry.services.garbage import collection as garbage
from registry.storage.filesystem import FilesystemStore
from tests.e2e import components
from tests.registry import images
from tests.registry.images import ALICE
from tests.registry.test_verify import verify

pytestmark = pytest.mark.django_db(databases=["registry"])


class Theirs:
    """A docker-registry without accounts, and what was pushed to it."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.payloads: dict[tuple[str, str], tuple[str, bytes]] = {}
        self.contents: dict[tuple[str, str], bytes] = {}

    def blob(self, name: str, body: bytes) -> None:
        digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
        started = httpx.post(f"{self.url}/v2/{name}/blobs/uploads/")
        address = httpx.URL(started.headers["Location"]).copy_merge_params({"digest": digest})
        answer = httpx.put(address, content=body)
        assert answer.status_code == 201, answer.text
        self.contents[name, digest] = body

    def manifest(self, name: str, tag: str | None, value: dict[str, Any]) -> dict[str, Any]:
        payload = images.encoded(value)
        digest = f"sha256:{hashlib.sha256(payload).hexdigest()}"
        answer = httpx.put(
            f"{self.url}/v2/{name}/manifests/{tag or digest}",
            content=payload,
            headers={"Content-Type": value["mediaType"]},
        )
        assert answer.status_code == 201, answer.text
        for reference in (digest, *([tag] if tag else [])):
            self.payloads[name, reference] = (value["mediaType"], payload)
        return {"mediaType": value["mediaType"], "digest": digest, "size": len(payload)}

    def image(self, name: str, tag: str | None, layers: list[bytes], **more: Any) -> dict[str, Any]:
        config = images.content()
        for body in (config, *layers):
            self.blob(name, body)
        return self.manifest(name, tag, images.document(config, layers, **more))


@contextmanager
def serving(folder: Path, storage: dict[str, Any]) -> Iterator[str]:
    """The URL of a docker-registry that keeps its images as `storage` says."""
    program = components.require("docker-registry")
    port = components.free_port()
    config = {
        "version": "0.1",
        "log": {"level": "error"},
        "storage": {**storage, "delete": {"enabled": True}},
        "http": {"addr": f"127.0.0.1:{port}", "secret": "theirs"},
    }
    (folder / "config.yml").write_text(json.dumps(config))
    # Its store is what its configuration says, and not what the environment says of AWS.
    environment = {name: v for name, v in os.environ.items() if not name.startswith("AWS_")}
    with (folder / "log").open("wb") as log:
        popen = subprocess.Popen(
            [program, "serve", folder / "config.yml"], stdout=log, stderr=log, env=environment
        )
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            with suppress(httpx.TransportError):
                httpx.get(f"{url}/v2/")
                break
            time.sleep(0.1)
        yield url
    finally:
        popen.terminate()
        popen.wait(10)


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Theirs:
    """What they have written, after they were stopped."""
    folder = tmp_path_factory.mktemp("theirs")
    storage = {"filesystem": {"rootdirectory": str(folder / "root")}}
    with serving(folder, storage) as url:
        registry = Theirs(folder / "root", url)
        fill(registry)
    return registry


def fill(theirs: Theirs, smallest: bytes = b"") -> None:
    """Images that share layers, an index, a referrer, what is untagged, deleted and unclaimed.

    One has a layer of the `smallest` blob that their store takes.
    """
    shared = images.content(3000)
    one = theirs.image("team/app", "v1", [shared, images.content(2000)])
    two = theirs.image("team/app", None, [shared])
    theirs.image("team/app", "docker", [shared], mediaType=media_types.DOCKER_MANIFEST)
    theirs.manifest(
        "team/app",
        "multi",
        {"schemaVersion": 2, "mediaType": media_types.OCI_INDEX, "manifests": [one, two]},
    )
    theirs.image("team/app", None, [images.content(50)], subject=one)
    theirs.image("team/app/cache", "latest", [shared])
    theirs.image("other", "latest", [smallest])
    gone = theirs.image("other", None, [images.content()])
    assert httpx.delete(f"{theirs.url}/v2/other/manifests/{gone['digest']}").status_code == 202
    del theirs.payloads["other", gone["digest"]]
    theirs.blob("other", b"nobody refers to this")


def take_over(theirs: Theirs, *arguments: str) -> str:
    out = io.StringIO()
    call_command("registry_import", str(theirs.folder), *arguments, stdout=out)
    return out.getvalue()


def assert_all_there(theirs: Theirs, store: FilesystemStore, prefix: str = "") -> None:
    for (name, reference), (media_type, payload) in theirs.payloads.items():
        found = manifests.find(prefix + name, reference)
        assert (found.media_type, found.payload) == (media_type, payload)
    for (name, digest), body in theirs.contents.items():
        if any(
            digest in payload.decode()
            for (n, _), (_, payload) in theirs.payloads.items()
            if n == name
        ):
            assert blobs.find(prefix + name, digest).size == len(body)
            with store.open(digest) as file:
                assert file.read() == body


def test_as_json(theirs: Theirs, capsys: pytest.CaptureFixture[str]) -> None:
    said = json.loads(take_over(theirs, "--map==moved", "--format=json"))
    assert (said["faults"], said["objections"], said["dry_run"]) == (0, {}, False)
    assert [(row["from"], row["name"]) for row in said["repositories"]] == [
        (name, f"moved/{name}") for name in ("other", "team/app", "team/app/cache")
    ]
    assert all(row["manifests"] for row in said["repositories"])
    # How far it was is for whoever watches.
    assert "[3/3]" in capsys.readouterr().err


@pytest.mark.parametrize("how", ["--link", "--copy"])
def test_all_of_it_bit_for_bit(theirs: Theirs, store: FilesystemStore, how: str) -> None:
    before = snapshot(theirs.folder)
    said = take_over(theirs, how)
    assert "3 repositories, 0 faults." in said
    assert_all_there(theirs, store)
    assert snapshot(theirs.folder) == before
    assert verify("--read-data")[0] == 0
    assert Repository.objects.count() == 3
    assert Tag.objects.filter(ended_at=None).count() == 5
    assert ManifestChild.objects.count() == 2
    assert Manifest.objects.exclude(subject_digest=None).count() == 1
    linked = any(path.stat().st_nlink > 1 for path in store.root.rglob("*") if path.is_file())
    assert linked is (how == "--link")
    # Twice is as once.
    rows = (Event.objects.count(), Review.objects.count(), Tag.objects.count())
    assert ": 0 blobs (0 bytes), 0 manifests, 0 tags;" in take_over(theirs, how)
    assert rows == (Event.objects.count(), Review.objects.count(), Tag.objects.count())
    # A tag that somebody has moved or deleted here since stays so.
    tags.delete("other", "latest", ALICE)
    take_over(theirs, how)
    assert not Tag.objects.filter(repository__name="other", ended_at=None).exists()


def snapshot(folder: Path) -> dict[str, tuple[int, int]]:
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            status = path.stat()
            found[str(path)] = (status.st_size, status.st_mtime_ns)
    return found


def test_one_that_was_stopped_goes_on(
    theirs: Theirs, store: FilesystemStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = FilesystemStore.commit
    count = 0

    def dying(*arguments: Any, **options: Any) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        commit(*arguments, **options)

    monkeypatch.setattr(FilesystemStore, "commit", dying)
    with pytest.raises(KeyboardInterrupt):
        take_over(theirs)
    take_over(theirs)
    assert_all_there(theirs, store)
    assert verify("--read-data")[0] == 0


def test_names_are_mapped(theirs: Theirs, store: FilesystemStore, tmp_path: Path) -> None:
    names = tmp_path / "names"
    take_over(theirs, "--map", "team/app=acme/app", "--map", "=acme", "--names", str(names))
    assert names.read_text().splitlines() == ["acme/other", "acme/app", "acme/app/cache"]
    assert set(Repository.objects.values_list("name", flat=True)) == set(
        names.read_text().splitlines()
    )


def test_untagged_ones_are_kept_if_wanted(theirs: Theirs, clock: Any) -> None:
    take_over(theirs, "--keep-untagged")
    count = Manifest.objects.count()
    for _ in range(3):
        clock.advance(days=20)
        garbage.review(1000)
    assert Manifest.objects.count() == count


@pytest.mark.parametrize("how", ["--link", "--copy"])
def test_what_is_damaged_there_is_not_taken(
    theirs: Theirs, store: FilesystemStore, tmp_path: Path, how: str
) -> None:
    copied = Theirs(tmp_path / "copied", "")
    subprocess.run(["cp", "-r", theirs.folder, copied.folder], check=True)
    digest = next(d for (n, d), body in theirs.contents.items() if len(body) == 2000)
    encoded = digest.partition(":")[2]
    path = copied.folder / f"docker/registry/v2/blobs/sha256/{encoded[:2]}/{encoded}/data"
    path.write_bytes(bytes(2000))
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("registry_import", str(copied.folder), how, stdout=out)
    assert "another digest" in out.getvalue()
    assert store.size(digest) is None
    assert not Tag.objects.filter(name="v1").exists()
    assert Tag.objects.filter(name="docker").exists()
    path.unlink()
    with pytest.raises(SystemExit):
        call_command("registry_import", str(copied.folder), how, stdout=io.StringIO())
    assert verify("--read-data")[0] == 0


@pytest.mark.parametrize("how", ["--copy", "--link"])
def test_links_that_lead_out_are_not_followed(
    store: FilesystemStore, tmp_path: Path, how: str
) -> None:
    """Nor are digests that are paths: whoever writes there reads nothing of the machine."""
    secret = tmp_path / "secret"
    secret.write_bytes(b"a secret of this machine")
    digest = hashlib.sha256(secret.read_bytes()).hexdigest()
    root = tmp_path / "theirs/docker/registry/v2"
    blob = root / f"blobs/sha256/{digest[:2]}/{digest}"
    blob.mkdir(parents=True)
    (blob / "data").symlink_to(secret)
    image = root / "repositories/acme/evil"
    for link in (f"_layers/sha256/{digest}", f"_manifests/revisions/sha256/{digest}"):
        (image / link).mkdir(parents=True)
    (image / f"_layers/sha256/{digest}/link").write_text(f"sha256:{digest}")
    outside = tmp_path / "link"
    outside.write_text(f"sha256:{digest}")
    (image / f"_manifests/revisions/sha256/{digest}/link").symlink_to(outside)
    for tag, said in (("a", f"sha256:{digest}"), ("b", "sha256:../../../../../secret"), ("c", "")):
        (image / f"_manifests/tags/{tag}/current").mkdir(parents=True)
        (image / f"_manifests/tags/{tag}/current/link").write_text(said)
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("registry_import", str(tmp_path / "theirs"), how, stdout=out)
    assert out.getvalue().count("a link leads out of the folder") == 2
    assert "4 faults" in out.getvalue()
    assert list(store.blobs()) == []
    assert not Manifest.objects.exists()


def test_it_warns_of_names_that_gitlab_cannot_hold(
    theirs: Theirs, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before anything is taken over, and on a registry's node by the names alone."""
    said = json.loads(take_over(theirs, "--format=json", "--dry-run"))
    assert said["objections"] == {"other": "has no group"}
    warned = capsys.readouterr().err
    assert warned.index("other has no group") < warned.index("[1/3]")
    maps = ["--map=other=admin/one", "--map=team/app/cache=a/b/c/d/e", "--map=team=one/tags"]
    said = json.loads(take_over(theirs, "--format=json", "--dry-run", *maps))
    assert said["objections"] == {
        "admin/one": "“admin” is reserved at the top",
        "one/tags/app": "“tags” is reserved",
        "a/b/c/d/e": "has more than 2 levels below a/b",
    }
    capsys.readouterr()
    names = {name for name, _ in theirs.contents}
    mapped = [f"--map={name}=one/name" for name in names]
    assert not json.loads(take_over(theirs, "--format=json", "--dry-run", *mapped))["objections"]
    assert "become one: one/name" in capsys.readouterr().err


def test_a_dry_run_says_it_all_and_changes_nothing(
    theirs: Theirs, store: FilesystemStore, tmp_path: Path
) -> None:
    names = tmp_path / "names"
    dry = json.loads(
        take_over(theirs, "--map==a", "--format=json", "--dry-run", f"--names={names}")
    )
    assert names.read_text().splitlines() == ["a/other", "a/team/app", "a/team/app/cache"]
    assert not Repository.objects.exists()
    assert list(store.blobs()) == []
    real = json.loads(take_over(theirs, "--map==a", "--format=json"))
    counted = ("from", "name", "blobs", "manifests", "tags", "faults")
    for forecast, done in zip(dry["repositories"], real["repositories"], strict=True):
        assert [forecast[key] for key in counted] == [done[key] for key in counted]
        assert forecast["bytes"] >= done["bytes"]
    again = json.loads(take_over(theirs, "--map==a", "--format=json", "--dry-run"))
    assert {row["blobs"] + row["manifests"] + row["tags"] for row in again["repositories"]} == {0}
    assert "Nothing was changed" in take_over(theirs, "--dry-run")


def test_a_manifest_that_is_too_large_is_not_read_whole(theirs: Theirs, settings: Any) -> None:
    settings.REGISTRY_MAX_MANIFEST_SIZE = 10
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("registry_import", str(theirs.folder), stdout=out)
    assert "a manifest has at most 10 bytes" in out.getvalue()
    assert not Manifest.objects.exists()


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="holds no docker/registry/v2"):
        call_command("registry_import", str(tmp_path))


@pytest.mark.parametrize("location", ["s3://", "s3:///prefix"])
def test_a_bucket_that_is_none(location: str) -> None:
    with pytest.raises(CommandError, match="s3://bucket/prefix"):
        call_command("registry_import", location)


def test_what_does_not_go_together() -> None:
    with pytest.raises(CommandError, match="--link"):
        call_command("registry_import", "s3://bucket", "--link")
    with pytest.raises(CommandError, match="no S3 store"):
        call_command("registry_import", "s3://bucket", "--same-store")
