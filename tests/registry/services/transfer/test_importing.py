"""Taking over an index that lists blobs, from a folder as distribution writes it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from registry import digest as digests
from registry.services import blobs, manifests, revocations
from registry.services.transfer.importing import Importer
from registry.services.transfer.sources import FolderSource
from tests.registry import images
from tests.registry.base import APP
from tests.registry.services.garbage.collecting import collect

pytestmark = [
    pytest.mark.django_db(databases=["registry"]),
    pytest.mark.usefixtures("short_delays"),
]


class Folder:
    """``docker/registry/v2``, written file by file."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.repository = root / "repositories" / APP

    def data(self, body: bytes) -> str:
        digest = digests.of(body)
        encoded = digest.partition(":")[2]
        self._write(self.root / "blobs" / "sha256" / encoded[:2] / encoded / "data", body)
        return digest

    def layer(self, body: bytes) -> dict[str, Any]:
        digest = self.data(body)
        self._link(self.repository / "_layers", digest)
        return images.descriptor(body, images.LAYER)

    def manifest(self, tag: str, value: dict[str, Any]) -> str:
        digest = self.data(images.encoded(value))
        self._link(self.repository / "_manifests" / "revisions", digest)
        self._write(
            self.repository / "_manifests" / "tags" / tag / "current" / "link", digest.encode()
        )
        return digest

    def _link(self, folder: Path, digest: str) -> None:
        algorithm, _, encoded = digest.partition(":")
        self._write(folder / algorithm / encoded / "link", digest.encode())

    def _write(self, path: Path, body: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)


@pytest.mark.parametrize("forgotten", [False, True])
def test_blobs_that_an_index_lists_are_taken_over_and_held(
    forgotten: bool, tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where they went away here, since the import was stopped before the index came."""
    folder = Folder(tmp_path)
    listed = [folder.layer(images.content()) for _ in range(2)]
    elsewhere = images.content()
    folder.data(elsewhere)  # The store there has it, but not for this repository.
    index = {
        "schemaVersion": 2,
        "mediaType": images.media_types.OCI_INDEX,
        "manifests": [*listed, images.descriptor(elsewhere, images.LAYER)],
    }
    digest = folder.manifest("buildcache", index)
    if forgotten:
        monkeypatch.setattr(FolderSource, "layers", lambda self, name: iter(()))
    assert not Importer(FolderSource(tmp_path)).repository(APP, APP).faults
    collect(clock)
    assert manifests.find(APP, "buildcache").digest == digest
    for entry in listed:
        assert blobs.find(APP, entry["digest"]).size == entry["size"]
    with pytest.raises(blobs.RegistryError):
        blobs.find(APP, digests.of(elsewhere))


def test_a_revocation_stops_no_import(tmp_path: Path) -> None:
    """It ends tokens, and an import has none; a process that has just begun knows of none."""
    folder = Folder(tmp_path)
    revocations.add([revocations.Ended(timezone.now(), subject="bob")])
    config, layer = images.content(), images.content()
    for body in (config, layer):
        folder.layer(body)
    digest = folder.manifest("v1", images.document(config, [layer]))
    assert not Importer(FolderSource(tmp_path)).repository(APP, APP).faults
    assert manifests.find(APP, "v1").digest == digest
