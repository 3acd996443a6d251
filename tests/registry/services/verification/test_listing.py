"""What an older version has not recorded of a manifest's lists, a round of verification records."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from registry.models import Finding, Manifest, ManifestChild
from registry.services import blobs, manifests, repositories
from registry.services.verification import listing, repairing
from registry.services.verification import rounds as verification_rounds
from tests.registry import images
from tests.registry.base import APP
from tests.registry.images import ALICE
from tests.registry.services.garbage.collecting import collect
from tests.registry.test_verify import verify

pytestmark = [
    pytest.mark.django_db(databases=["registry"]),
    pytest.mark.usefixtures("short_delays"),
]


def foreign(body: bytes) -> images.Image:
    """An image with a layer that need not be here, and is not."""
    config = images.content(20)
    images.push_blob(APP, config)
    value = images.document(config, [])
    elsewhere = {"urls": ["https://elsewhere.example/"]}
    value["layers"] = [images.descriptor(body, images.LAYER) | elsewhere]
    return images.push_manifest(APP, "v1", value)


def index(body: bytes) -> images.Image:
    """An index that lists a blob, which is not here."""
    return images.push_index(APP, "cache", [images.descriptor(body, images.LAYER)])


def forget() -> None:
    """As a version left it that recorded less."""
    ManifestChild.objects.all().delete()


def whole_round() -> None:
    while not verification_rounds.slice_of_schedule(100)[0].finished_at:
        pass


def is_here(digest: str) -> bool:
    try:
        return blobs.find(APP, digest).digest == digest
    except blobs.RegistryError:
        return False


@pytest.mark.parametrize("push", [foreign, index])
def test_it_is_not_held_without(push: Any, clock: Any) -> None:
    """What the round is for."""
    body = images.content()
    push(body)
    forget()
    digest = images.push_blob(APP, body)
    collect(clock)
    assert not is_here(digest)


@pytest.mark.parametrize("push", [foreign, index])
@pytest.mark.parametrize("comes_first", [False, True])
def test_the_slow_round_records_it(
    push: Any, comes_first: bool, clock: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the layer comes or while it waits for its review; and it is no fault."""
    body = images.content()
    push(body)
    forget()
    if comes_first:
        images.push_blob(APP, body)
    with caplog.at_level(logging.INFO, "registry.verification"):
        whole_round()
    assert "1 digests are held that a manifest lists" in caplog.text
    assert not Finding.objects.exists()
    digest = images.push_blob(APP, body)
    collect(clock)
    assert is_here(digest)
    caplog.clear()
    whole_round()
    assert "digests are held" not in caplog.text
    assert verify()[0] == 0


def test_the_command_names_it_and_repairs_it() -> None:
    body = images.content()
    image = index(body)
    forget()
    code, report = verify()
    (fault,) = report["findings"]
    assert (code, fault["kind"], fault["needed_by"]) == (1, "unrecorded list", [f"{APP}:cache"])
    assert image.digest in fault["detail"]
    assert not ManifestChild.objects.exists()
    assert verify("--repair")[1]["findings"][0]["repair"] == "1 digests are held from now on"
    assert verify()[0] == 0
    row = ManifestChild.objects.get()
    assert (row.parent.digest, row.repository.name) == (image.digest, APP)


def test_a_manifest_that_has_gone_meanwhile_gets_no_rows(clock: Any) -> None:
    image = index(images.content())
    forget()
    pk = Manifest.objects.get().pk
    manifests.delete(APP, image.digest, ALICE)
    collect(clock)
    assert not Manifest.objects.exists()
    assert listing.record(pk) == 0
    assert not ManifestChild.objects.exists()


def test_one_that_was_deleted_is_held_for_undo() -> None:
    """Also in a repository that was deleted: undo may bring both back."""
    image = index(images.content())
    forget()
    manifests.delete(APP, image.digest, ALICE)
    repositories.close(APP, ALICE)
    assert verify("--repair")[1]["by_kind"] == {"unrecorded list": 1}
    assert ManifestChild.objects.count() == 1


def test_what_can_not_be_read_any_more_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A manifest that would be refused today; and one that is damaged says nothing to rely on."""
    image = index(images.content())
    forget()
    with monkeypatch.context() as patch:
        patch.setattr(listing.parsing, "MAX_REFERENCES", 0)
        assert verify()[0] == 0
    Manifest.objects.update(payload=image.payload + b" ")
    assert verify()[1]["by_kind"] == {"damaged manifest": 1}


def test_each_kind_that_can_be_repaired_is() -> None:
    """The two tables share no kind, so none is repaired in two ways."""
    assert not set(repairing._QUEUES) & set(repairing._REPAIRS)
