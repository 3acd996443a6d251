"""``manage.py registry_verify``: it finds every planted fault, and none where there is none."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import json
import os
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.db import connections

from registry.errors import RegistryError
from registry.models import Blob, Finding, Manifest, Repository, RepositoryBlob, Review
from registry.services import manifests, pushing, repositories, tags
from registry.services.garbage import collection as garbage
from registry.services.verification import comparison as verification
from registry.services.verification import rounds as verification_rounds
from registry.storage import paths
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.images import ALICE
from tests.registry.random_states import SEEDS, RandomRegistry

EACH = 20
DAYS = 3 * 86400


def verify(*arguments: str) -> tuple[int, dict[str, Any]]:
    """The exit code and the report."""
    out = io.StringIO()
    code = 0
    try:
        call_command("registry_verify", "--format", "json", *arguments, stdout=out)
    except SystemExit as error:
        code = int(error.code or 0)
    return code, json.loads(out.getvalue())


def reported(report: dict[str, Any]) -> set[tuple[str, str]]:
    return {(fault["kind"], fault["subject"]) for fault in report["findings"]}


def orphan(store: FilesystemStore, seconds: float = DAYS) -> str:
    """A file that no row knows, that old."""
    digest = images.push_blob("mallory/evil", images.content())
    row = Blob.objects.get(digest=digest)
    link = RepositoryBlob.objects.get(blob=row)
    Review.objects.filter(kind="link", target=link.pk).delete()
    link.delete()
    row.delete()
    moment = time.time() - seconds
    os.utime(paths.blob(store.root, digest), (moment, moment))
    return digest


class Planter:
    """Breaks things, and knows what has to be found."""

    def __init__(self, seed: int, store: FilesystemStore) -> None:
        self.random = random.Random(seed)
        self.store = store
        self.pushed = [images.push_image(APP, f"v{number}") for number in range(5 * EACH)]
        self.free = [layer for image in self.pushed for layer in image.layers]
        self.random.shuffle(self.free)
        self.planted: set[tuple[str, str]] = set()

    def _file(self) -> tuple[str, Path]:
        digest = self.free.pop()
        return digest, paths.blob(self.store.root, digest)

    def missing(self) -> None:
        digest, path = self._file()
        path.unlink()
        self.planted.add(("missing", digest))

    def truncated(self) -> None:
        digest, path = self._file()
        os.truncate(path, self.random.choice([0, path.stat().st_size - 1]))
        self.planted.add(("truncated", digest))

    def flipped(self) -> None:
        digest, path = self._file()
        content = bytearray(path.read_bytes())
        content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
        path.write_bytes(content)
        self.planted.add(("damaged", digest))

    def orphan_file(self) -> None:
        self.planted.add(("orphan file", orphan(self.store)))

    def orphan_row(self) -> None:
        body = images.content()
        row = Blob.objects.get(digest=images.push_blob("mallory/evil", body))
        link = RepositoryBlob.objects.get(blob=row)
        Review.objects.filter(kind="link", target=link.pk).delete()
        link.delete()
        self.planted.add(("orphan row", str(row.pk)))


@pytest.mark.django_db(databases=["registry"])
def test_all_planted_faults_are_found_and_nothing_else(store: FilesystemStore) -> None:
    planter = Planter(20261124, store)
    assert verify("--read-data")[0] == 0
    for _ in range(EACH):
        planter.missing()
        planter.truncated()
        planter.flipped()
        planter.orphan_file()
        planter.orphan_row()
    assert len(planter.planted) == 5 * EACH
    code, report = verify("--read-data")
    assert code == 1
    assert reported(report) == planter.planted
    assert report["faults"] == 5 * EACH
    # Without reading, all but the flipped bits.
    _, quick = verify()
    assert reported(quick) == {fault for fault in planter.planted if fault[0] != "damaged"}


@pytest.mark.django_db(databases=["registry"])
def test_a_repair_quarantines_and_a_push_heals(store: FilesystemStore) -> None:
    bodies = [images.content(500) for _ in range(3)]
    image = images.push_image(APP, "latest", layers=bodies, config=b"{}")
    lost, short, flipped = (paths.blob(store.root, digest) for digest in image.layers)
    lost.unlink()
    os.truncate(short, 7)
    flipped.write_bytes(bytes(500))
    stray = orphan(store)
    _, report = verify("--read-data", "--repair")
    assert all(
        fault["needed_by"] == [f"{APP}:latest"]
        for fault in report["findings"]
        if fault["kind"] != "orphan file"
    )
    assert len(report["findings"]) == 4
    kept = [path for path in (store.root / "quarantine").rglob("*") if path.is_file()]
    assert len(kept) == 3
    assert store.size(stray) is None
    # A client that asks before it pushes is told that these are missing, and so uploads them.
    with_refusal = [digest for digest in image.layers if store.size(digest) is None]
    assert with_refusal == list(image.layers)
    for body in bodies:
        images.push_blob(APP, body)
    assert verify("--read-data")[0] == 0
    assert sum(path.is_file() for path in (store.root / "quarantine").rglob("*")) == 3


@pytest.mark.django_db(databases=["registry"])
def test_rows_against_rows(clock: Any, store: FilesystemStore) -> None:
    image = images.push_image(APP, "latest")
    dangling = images.push_image(APP, None)
    closed = images.push_image("acme/closed", "latest")
    other = images.push_image("acme/other", "latest")
    repositories.close("acme/closed", ALICE)
    Review.objects.all().delete()
    images.push_blob(APP, images.content())
    Review.objects.all().delete()
    Manifest.objects.filter(digest=image.digest).update(deleted_at=clock.now())
    Manifest.objects.filter(digest=other.digest).update(payload=other.payload + b" ")
    code, report = verify()
    assert code == 1
    assert sorted(fault["kind"] for fault in report["findings"]) == [
        "damaged manifest",
        "tag of a deleted manifest",
        "unreviewed manifest",
        "unreviewed repository",
        "unreviewed right",
    ]
    assert verify("--repair")[0] == 1
    assert {fault["kind"] for fault in verify()[1]["findings"]} == {"damaged manifest"}
    # A push of the same bytes heals it.
    pushing.push("acme/other", "latest", other.payload, other.media_type, ALICE)
    assert verify()[0] == 0
    # And what was queued goes in its time.
    for _ in range(4):
        clock.advance(days=9)
        garbage.review(1000)
    assert not Repository.objects.filter(name="acme/closed").exists()
    digests = set(Manifest.objects.values_list("digest", flat=True))
    assert not digests & {dangling.digest, closed.digest}
    assert manifests.find(APP, "latest").payload == image.payload


@pytest.mark.django_db(databases=["registry"])
def test_young_files_and_unfinished_uploads_are_no_orphans(store: FilesystemStore) -> None:
    orphan(store, seconds=60)
    assert verify("--read-data")[0] == 0


@pytest.mark.django_db(databases=["registry"])
@pytest.mark.parametrize("seed", SEEDS[2:7])
def test_no_state_that_a_registry_comes_into_is_a_fault(
    seed: int, clock: Any, settings: Any
) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = dt.timedelta(hours=1)
    settings.UNDO_WINDOW = dt.timedelta(hours=2)
    registry = RandomRegistry(1000 + seed, clock)
    for _ in range(6):
        registry.do(30)
        code, report = verify("--read-data")
        assert (code, report["findings"]) == (0, [])


@pytest.mark.django_db(databases=["registry"])
def test_a_round_is_resumed(store: FilesystemStore, monkeypatch: pytest.MonkeyPatch) -> None:
    images.push_image(APP, "latest")
    paths.blob(store.root, orphan(store))
    begun = verification_rounds.begin(verification_rounds.COMMAND, resume=False)
    verifier = verification.Verifier(page_size=1)
    for _ in range(3):
        verification_rounds.step(begun, verifier)
    resumed = verification_rounds.begin(verification_rounds.COMMAND, resume=True)
    assert (resumed.phase, resumed.position) == (begun.phase, begun.position) != ("blobs", "")
    assert verify("--resume")[1]["faults"] == 1
    fresh = verification_rounds.begin(verification_rounds.COMMAND, resume=True)
    assert (fresh.phase, fresh.position) == ("blobs", "")


@pytest.mark.django_db(databases=["registry"])
def test_the_rate_is_kept(store: FilesystemStore) -> None:
    images.push_blob(APP, bytes(1024 * 1024))
    begun = time.monotonic()
    assert verify("--read-data", "--rate", "2")[0] == 0
    assert time.monotonic() - begun >= 0.5


@pytest.mark.django_db(databases=["registry"])
def test_text_for_people(store: FilesystemStore) -> None:
    image = images.push_image(APP, "latest")
    out = io.StringIO()
    call_command("registry_verify", stdout=out)
    assert "nothing is wrong" in out.getvalue()
    paths.blob(store.root, image.layers[0]).unlink()
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command("registry_verify", stdout=out)
    assert f"missing: {image.layers[0]}" in out.getvalue()
    assert f"needed by {APP}:latest" in out.getvalue()


@pytest.mark.django_db(databases=["registry"])
def test_the_slow_round(store: FilesystemStore, gitlab: Person, alice: Person) -> None:
    image = images.push_image(APP, "latest")
    broken = paths.blob(store.root, image.layers[0])
    content = broken.read_bytes()
    broken.write_bytes(bytes(len(content)))
    address = "/gitlab/v1/garbage/verifications/?n=1"
    assert alice.send("POST", address).status_code == 401

    def whole_round() -> int:
        calls = 0
        while True:
            calls += 1
            if gitlab.send("POST", address).json()["finished"]:
                return calls

    assert whole_round() > 5
    state = gitlab.send("GET", "/gitlab/v1/garbage/").json()["verification"]
    assert [fault["subject"] for fault in state["faults"]] == [image.layers[0]]
    assert f"{APP}:latest" in state["faults"][0]["detail"]
    broken.write_bytes(content)
    whole_round()
    assert gitlab.send("GET", "/gitlab/v1/garbage/").json()["verification"]["faults"] == []
    assert not Finding.objects.exists()


class Busy:
    """Pushes, deletions and collection, in threads, for some seconds and until much was done."""

    def __init__(self, seconds: float, *, at_most: float = 120) -> None:
        self._begun, self._seconds, self._at_most = time.monotonic(), seconds, at_most
        self.faults: list[BaseException] = []
        self.pushes = self.removed = 0
        self._shared = [images.content(2000) for _ in range(4)]
        works = [lambda: self._push("acme/one"), lambda: self._push("acme/two"), self._collect]
        self.threads = [threading.Thread(target=self._run, args=(work,)) for work in works]

    def _run(self, work: Any) -> None:
        try:
            while self.is_on:
                work()
        except BaseException as error:
            self.faults.append(error)
        finally:
            connections.close_all()

    @property
    def is_on(self) -> bool:
        passed = time.monotonic() - self._begun
        is_enough = self.pushes > 3 and self.removed > 3
        return passed < (self._seconds if is_enough else self._at_most)

    def _push(self, name: str) -> None:
        # Without a grace the collector may be quicker: then the push is refused.
        with contextlib.suppress(RegistryError):
            images.push_image(name, "latest", layers=random.sample(self._shared, 2))
            self.pushes += 1
            tags.delete(name, "latest", ALICE)

    def _collect(self) -> None:
        self.removed += garbage.review(50).removed


@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_no_false_alarm_on_a_busy_registry(settings: Any, store: FilesystemStore) -> None:
    settings.REGISTRY_GC_REVIEW_DELAY = settings.UNDO_WINDOW = dt.timedelta(seconds=0)
    busy = Busy(8)
    for thread in busy.threads:
        thread.start()
    rounds = 0
    while busy.is_on:
        row = verification_rounds.begin(verification_rounds.COMMAND, resume=False)
        for page in verification_rounds.rounds(row, verification.Verifier(True, page_size=7)):
            assert page.findings == []
        rounds += 1
    for thread in busy.threads:
        thread.join()
    assert not busy.faults
    assert rounds
    assert busy.pushes > 3
    assert busy.removed > 3
