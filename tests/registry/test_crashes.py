"""F02, F04, F09, F10: the process dies at each place in the code that matters, in a child
of ours.
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connections

from registry import crash_points
from registry.models import Blob, RepositoryBlob, Tag, Tombstone, UploadSession
from registry.services import blobs, manifests, tags, upload_expiry, uploads
from registry.services.garbage import collection as garbage
from registry.services.verification import rounds as verification_rounds
from registry.services.verification.comparison import PHASES, Finding, Verifier
from registry.storage import filesystem, paths
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.base import APP
from tests.registry.images import ALICE

pytestmark = [
    pytest.mark.faults,
    pytest.mark.django_db(databases=["registry"], transaction=True),
]

PUSH = [
    point for point in crash_points.POINTS if point.startswith(("part", "blob_", "manif", "tag"))
]
PUSH.remove("blob_quarantined")
IN_PLACE = {"blob_linked", "blob_rows_written", "blob_renamed", "blob_in_place"}
"""Where the bytes lie at their place, and no row knows them."""


def dies(act: Callable[[], object], point: str, settings: Any) -> bool:
    """Whether a child that does `act` dies at `point`. The tests' own connections stay ours."""
    pid = os.fork()
    if pid == 0:
        try:
            # Not closed: it is the parent's.
            connections["registry"].connection = None
            settings.CRASH_AT = point
            act()
            os._exit(0)
        except BaseException:
            os._exit(1)
    _, status = os.waitpid(pid, 0)
    assert os.WIFEXITED(status)
    assert os.WEXITSTATUS(status) in (0, crash_points.EXIT_CODE)
    return os.WEXITSTATUS(status) == crash_points.EXIT_CODE


def findings() -> list[Finding]:
    verifier = Verifier(reads_data=True)
    row = verification_rounds.begin(verification_rounds.COMMAND, resume=False)
    assert row.phase == PHASES[0]
    return [one for page in verification_rounds.rounds(row, verifier) for one in page.findings]


@pytest.fixture(autouse=True)
def _nothing_is_young(settings: Any) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = dt.timedelta(0)
    settings.UNDO_WINDOW = dt.timedelta(hours=1)


@pytest.mark.parametrize("point", PUSH)
def test_a_push_that_dies(
    point: str,
    settings: Any,
    clock: Any,
    store: FilesystemStore,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """F02, F04: nothing half is seen, pushing again makes it whole, and what was left goes."""
    before = images.push_image(APP, "latest")
    bodies = [images.content(3000), images.content(70)]
    config, payloads = images.content(), images.document

    def push() -> None:
        for body in (config, *bodies):
            session = uploads.start(APP, ALICE)
            uploads.append(session, [body[:10], body[10:]], 0)
            uploads.commit(session, images.digests.of(body), [], None)
        images.push_manifest(APP, "latest", payloads(config, bodies))

    if point == "blob_renamed":
        monkeypatch.setattr(filesystem, "_link_where_free", lambda source, target: None)
    assert dies(push, point, settings)
    # I1, I2, I13: what was there is there, and every row has its bytes. A file may lie about.
    pointed = Tag.objects.get(ended_at=None, name="latest")
    if point != "manifest_committed":  # That one was true; only its answer is missing.
        assert pointed.digest == before.digest
    clock.advance(minutes=11)
    left = findings()
    assert {finding.kind for finding in left} <= {"orphan file"}
    assert bool(left) is (point in IN_PLACE)
    push()
    assert Tag.objects.get(ended_at=None, name="latest").digest != before.digest
    for body in bodies:
        assert blobs.find(APP, images.digests.of(body)).size == store.size(images.digests.of(body))
    assert findings() == []
    # I5: what no row counts goes when its time is over.
    clock.advance(days=30)
    while upload_expiry.purge_expired(100):
        pass
    upload_expiry._next_sweep[0] = 0.0
    for folder in paths.uploads(store.root).glob("*/*"):
        os.utime(folder, (0, 0))
    upload_expiry.sweep_left()
    assert list(paths.uploads(store.root).glob("*/*")) == []
    assert not UploadSession.objects.exists()


@pytest.mark.parametrize("point", sorted(IN_PLACE - {"blob_renamed"}))
def test_what_a_push_has_left_is_swept(
    point: str,
    settings: Any,
    clock: Any,
    store: FilesystemStore,
) -> None:
    """F02, without a second push: the slow round removes the file, after the window."""
    assert dies(lambda: images.push_blob(APP, b"left"), point, settings)
    digest = images.digests.of(b"left")
    assert store.size(digest) == 4
    assert not Blob.objects.exists()

    def whole_round() -> None:
        while not verification_rounds.slice_of_schedule(100)[0].finished_at:
            pass

    whole_round()
    assert store.size(digest) == 4
    clock.advance(hours=2)
    whole_round()
    assert store.size(digest) is None
    assert verification_rounds.kept() == []


@pytest.mark.parametrize("point", ["gc_rows_deleted", "gc_bytes_unlinked"])
@pytest.mark.parametrize("is_pushed_again", [True, False])
def test_a_collector_that_dies(
    point: str,
    is_pushed_again: bool,
    settings: Any,
    clock: Any,
    store: FilesystemStore,
) -> None:
    """F09, F10: a push right after is answered only with its bytes written; else they go."""
    body = images.content(500)
    image = images.push_image(APP, "v1", layers=[body], config=body)
    tags.delete(APP, "v1", ALICE)
    clock.advance(hours=2)

    def collect() -> None:
        garbage.review(100)

    assert dies(collect, point, settings)
    assert Tombstone.objects.count() == 1
    if is_pushed_again:
        kept = images.push_image(APP, "v2", layers=[body], config=body)
        clock.advance(hours=2)
        garbage.review(100)
        assert store.size(image.layers[0]) == 500
        assert manifests.find(APP, "v2").digest == kept.digest
    else:
        clock.advance(hours=2)
        garbage.review(100)
        assert store.size(image.layers[0]) is None
        assert list(store.blobs()) == []
    assert findings() == []
    assert not Tombstone.objects.exists()
    assert RepositoryBlob.objects.count() == int(is_pushed_again)


def test_the_removal_of_an_upload_that_dies(
    settings: Any,
    clock: Any,
    store: FilesystemStore,
) -> None:
    """The row goes first, so that nobody is told to go on; the folder is swept."""
    session = uploads.start(APP, ALICE)
    uploads.append(session, [b"half"], 0)
    clock.advance(days=30)
    assert dies(lambda: upload_expiry.purge_expired(10), "upload_row_deleted", settings)
    assert not UploadSession.objects.exists()
    folder = paths.upload(store.root, session.pk)
    assert folder.exists()
    os.utime(folder, (0, 0))
    upload_expiry._next_sweep[0] = 0.0
    assert upload_expiry.sweep_left() == 1
    assert not folder.exists()
