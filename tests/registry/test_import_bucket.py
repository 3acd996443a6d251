"""``manage.py registry_import`` on a bucket, as distribution's S3 driver lays it out."""

from __future__ import annotations

import io
import json
import logging
import uuid
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from registry import digest as digests
from registry.models import Tag
from registry.services import manifests
from registry.services.transfer import bucket_source
from registry.storage.filesystem import FilesystemStore
from tests.e2e.seaweedfs import ACCESS_KEY, BUCKET, SECRET_KEY, SeaweedFS
from tests.registry.test_import import Theirs, assert_all_there, fill, serving, theirs
from tests.registry.test_verify import verify

__all__ = ["theirs"]  # The fixture.

pytestmark = [
    pytest.mark.engineless,
    pytest.mark.django_db(databases=["registry"]),
    pytest.mark.xdist_group("s3"),
]


@pytest.fixture
def prefix(s3: SeaweedFS, theirs: Theirs) -> str:
    """Where what they have written lies in the bucket: the folder's files as objects."""
    prefix = f"theirs/{uuid.uuid4().hex}"
    for path in theirs.folder.rglob("*"):
        if path.is_file():
            key = f"{prefix}/{path.relative_to(theirs.folder).as_posix()}"
            s3.client().put_object(Bucket=BUCKET, Key=key, Body=path.read_bytes())
    return prefix


@pytest.fixture(autouse=True)
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)


def take_over(s3: SeaweedFS, prefix: str, *arguments: str) -> tuple[int, Any]:
    out = io.StringIO()
    code = 0
    try:
        call_command(
            "registry_import", f"s3://{BUCKET}/{prefix}", "--endpoint", s3.endpoint,
            "--format=json", *arguments, stdout=out, stderr=io.StringIO(),
        )  # fmt: skip
    except SystemExit as error:
        code = int(error.code or 0)
    return code, json.loads(out.getvalue())


@pytest.mark.parametrize("page", [2, 1000])
def test_all_of_it_bit_for_bit(
    page: int, s3: SeaweedFS, prefix: str, theirs: Theirs, store: FilesystemStore,
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture,
) -> None:  # fmt: skip
    """Whatever the pages of the store's lists are; and the dry run said so before."""
    monkeypatch.setattr(bucket_source, "PAGE", page)
    caplog.set_level(logging.DEBUG, "registry")
    before = s3.objects(prefix)
    _, dry = take_over(s3, prefix, "--map==moved", "--dry-run")
    assert list(store.blobs()) == []
    code, said = take_over(s3, prefix, "--map==moved")
    assert code == 0
    assert [row["name"] for row in said["repositories"]] == [
        "moved/other", "moved/team/app", "moved/team/app/cache",
    ]  # fmt: skip
    for forecast, done in zip(dry["repositories"], said["repositories"], strict=True):
        assert forecast["manifests"] == done["manifests"] > 0
        assert forecast["tags"] == done["tags"] > 0
    assert_all_there(theirs, store, "moved/")
    assert Tag.objects.filter(ended_at=None).count() == 5
    assert verify("--read-data")[0] == 0
    assert s3.objects(prefix) == before
    # Twice is as once.
    _, again = take_over(s3, f"{prefix}/docker/registry/v2/", "--map==moved")
    assert {row["blobs"] + row["manifests"] + row["tags"] for row in again["repositories"]} == {0}
    assert SECRET_KEY not in caplog.text


def test_what_their_own_driver_has_written(
    s3: SeaweedFS, tmp_path: Path, store: FilesystemStore
) -> None:
    """Not a copy of a folder: docker's registry on the bucket itself."""
    prefix = f"theirs/{uuid.uuid4().hex}"
    driver = {
        "region": "us-east-1",
        "regionendpoint": s3.endpoint,
        "bucket": BUCKET,
        "rootdirectory": f"/{prefix}",
        "accesskey": ACCESS_KEY,
        "secretkey": SECRET_KEY,
        "secure": False,
        "v4auth": True,
    }
    with serving(tmp_path, {"s3": driver}) as url:
        pushed = Theirs(tmp_path, url)
        fill(pushed, smallest=b"1")  # Their driver completes an upload without parts for none.
    code, said = take_over(s3, prefix)
    assert (code, said["faults"]) == (0, 0)
    assert_all_there(pushed, store)
    assert Tag.objects.filter(ended_at=None).count() == 5
    assert verify("--read-data")[0] == 0


def test_what_is_lost_or_damaged_there_is_named(
    s3: SeaweedFS, prefix: str, theirs: Theirs, store: FilesystemStore
) -> None:
    """With the tags that need it; all else comes."""
    damaged = next(d for (_, d), body in theirs.contents.items() if len(body) == 2000)
    for digest in (damaged, digests.of(b"")):
        encoded = digest.partition(":")[2]
        key = f"{prefix}/docker/registry/v2/blobs/sha256/{encoded[:2]}/{encoded}/data"
        if digest == damaged:
            s3.client().put_object(Bucket=BUCKET, Key=key, Body=bytes(2000))
        else:
            s3.client().delete_object(Bucket=BUCKET, Key=key)
    code, said = take_over(s3, prefix)
    assert code == 1
    faults = [fault for row in said["repositories"] for fault in row["faults"]]
    assert any("another digest" in fault and damaged in fault for fault in faults)
    assert any("its bytes are not there" in fault for fault in faults)
    assert store.size(damaged) is None
    assert manifests.find("team/app", "docker")
    assert set(Tag.objects.values_list("repository__name", "name")).isdisjoint(
        {("team/app", "v1"), ("other", "latest")}
    )


def test_links_that_are_empty_or_say_something_else_are_no_links(
    s3: SeaweedFS, prefix: str, theirs: Theirs
) -> None:
    folder = f"{prefix}/docker/registry/v2/repositories/other/_manifests"
    digest = next(d for (name, d) in theirs.payloads if name == "other" and ":" in d)
    link = f"{folder}/revisions/sha256/{digest.partition(':')[2]}/link"
    for body in (b"", b"sha256:../../../../secret"):
        s3.client().put_object(Bucket=BUCKET, Key=link, Body=body)
        s3.client().put_object(Bucket=BUCKET, Key=f"{folder}/tags/latest/current/link", Body=body)
        _, said = take_over(s3, prefix, "--dry-run")
        (row,) = [row for row in said["repositories"] if row["from"] == "other"]
        assert (row["manifests"], row["tags"], len(row["faults"])) == (0, 0, 1)


def test_a_source_that_can_not_be_read(
    s3: SeaweedFS, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Why is said, and no key."""
    with pytest.raises(CommandError, match="NoSuchBucket"):
        call_command("registry_import", "s3://nowhere", "--endpoint", s3.endpoint)
    with pytest.raises(CommandError, match="holds no docker/registry/v2"):
        call_command("registry_import", f"s3://{BUCKET}/elsewhere", "--endpoint", s3.endpoint)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-wrong-secret")
    with pytest.raises(CommandError) as caught:
        call_command("registry_import", f"s3://{BUCKET}/{prefix}", "--endpoint", s3.endpoint)
    assert "The source: ListObjectsV2: " in str(caught.value)
    assert "a-wrong-secret" not in str(caught.value)
    assert ACCESS_KEY not in str(caught.value)


def test_a_bucket_of_the_registrys_own_store(
    s3: SeaweedFS, prefix: str, settings: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Its endpoint and keys are in the settings; from a bucket into a bucket."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    settings.REGISTRY_STORAGE = {
        "driver": "s3",
        "s3": {
            "bucket": BUCKET,
            "prefix": f"ours/{uuid.uuid4().hex}",
            "endpoint": s3.endpoint,
            "region": "us-east-1",
            "addressing_style": "auto",
            "access_key": ACCESS_KEY,
            "secret_key": SECRET_KEY,
        },
    }
    out = io.StringIO()
    location = f"s3://{BUCKET}/{prefix}"
    call_command("registry_import", location, "--same-store", stdout=out, stderr=io.StringIO())
    assert "3 repositories, 0 faults." in out.getvalue()
    assert verify("--read-data")[0] == 0
