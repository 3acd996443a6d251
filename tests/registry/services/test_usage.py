"""Running totals: what changes them, counts anew, and what is found to have drifted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from registry.models import RepositoryBlob, Usage, UsageTotal
from registry.quotas import Quota, Quotas
from registry.services import blobs, database, manifests, renaming, repositories, usage
from registry.services.verification import repairing, rounds
from registry.services.verification.comparison import Finding, Verifier
from tests.registry import images
from tests.registry.base import APP
from tests.registry.services.garbage.collecting import collect

pytestmark = pytest.mark.django_db(databases=["registry"])

OTHER = "acme/other"
COUNTED = replace(images.ALICE, quotas=Quotas((Quota("acme"), Quota(APP))))


def used(path: str = "acme") -> tuple[int, int]:
    found = usage.of([path])[path]
    return found.bytes, found.blobs


def count_all() -> list[usage.Count]:
    found = []
    for _ in range(50):
        found += usage.count_some(1)
    assert not Usage.objects.filter(counted_to__isnull=False).exists()
    return found


def test_the_last_right_below_takes_a_blob_out() -> None:
    digest = images.push_blob(APP, b"x" * 50, COUNTED)
    images.push_blob(OTHER, b"x" * 50, COUNTED)
    images.push_blob("globex/app", b"x" * 50)
    assert used() == used(APP) == (50, 1)
    blobs.delete(APP, digest, images.ALICE)
    assert (used(), used(APP)) == ((50, 1), (0, 0))
    blobs.delete(OTHER, digest, images.ALICE)
    assert used() == (0, 0)


def test_what_the_collector_takes(clock: Any) -> None:
    image = images.push_image(APP, "v1")
    usage.room(COUNTED.quotas)
    kept = images.push_image(OTHER, "v1")
    sizes = [size for size, _ in (used(), used(APP))]
    assert all(sizes), "counted at the first question"
    images.push_blob(APP, b"nobody names it", COUNTED)
    manifests.delete(APP, image.digest, images.ALICE)
    assert used()[0] > sizes[0], "what is deleted counts until it is collected"
    collect(clock, rounds=20)
    assert used(APP) == (0, 0)
    with database.atomic():
        usage.doubt("acme")
    assert count_all()[0].found == sum(
        RepositoryBlob.objects.filter(repository__name=OTHER).values_list("blob__size", flat=True)
    )
    assert kept.layers


def test_what_a_closed_repository_leaves(clock: Any) -> None:
    images.push_image(APP, "v1")
    images.push_image(OTHER, "v1")
    usage.room(COUNTED.quotas)
    before = used()
    repositories.close(APP, images.ALICE)
    assert used() == before
    collect(clock, rounds=20)
    assert used(APP) == (0, 0)
    assert 0 < used()[0] < before[0]


def test_renaming_counts_anew() -> None:
    images.push_blob(APP, b"x" * 50, COUNTED)
    usage.room(Quotas((Quota("globex"),)))
    renaming.rename(APP, "globex/app", images.ALICE)
    assert used() == (50, 1), "until it is counted"
    counts = {count.path: count for count in count_all()}
    assert not any(count.said != count.found and not count.is_first for count in counts.values())
    assert (used(), used(APP), used("globex")) == ((0, 0), (0, 0), (50, 1))


def test_a_count_in_steps_with_pushes_in_between(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "AT_ONCE", 4)
    images.push_blob("globex/app", b"not here")
    for number in range(10):
        images.push_blob(APP, bytes([number]) * 10)
    usage.room(COUNTED.quotas)
    assert not usage.of(["acme"])["acme"].is_counted, "too much to be counted at once"
    finished: list[usage.Count] = []
    steps = 0
    while not finished and steps < 20:
        # Before and behind where the count is: a new blob, and one that goes.
        images.push_blob(APP, b"new" + bytes([steps]), COUNTED)
        digest = images.push_blob(OTHER, b"to go" + bytes([steps]), COUNTED)
        old = RepositoryBlob.objects.filter(repository__name=APP, manifestblob=None)
        blobs.delete(OTHER, digest, images.ALICE)
        if steps == 1:
            blobs.delete(APP, old.order_by("pk")[0].blob.digest, images.ALICE)
        finished = usage.count_some(1)
        steps += 1
    count_all()
    here = RepositoryBlob.objects.filter(repository__name__startswith="acme/")
    real = sum(dict(here.values_list("blob_id", "blob__size")).values())
    assert steps > 2
    assert used()[0] == used(APP)[0] == real
    assert usage.of(["acme"])["acme"].is_counted


def test_a_count_takes_as_many_steps_as_there_is_and_each_costs_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """So that a million blobs are a matter of steps, and no step one of memory or time."""
    monkeypatch.setattr(usage, "AT_ONCE", 4)
    for number in range(21):
        images.push_blob(APP, bytes([number]) * 10)
    usage.room(Quotas((Quota("acme"),)))
    costs: list[int] = []
    finished: list[usage.Count] = []
    while not finished and len(costs) < 30:
        with CaptureQueriesContext(connections["registry"]) as captured:
            finished = usage.count_some(1)
        costs.append(len(captured))
    assert len(costs) == 21 // 4 + 1
    assert len(set(costs[:-1])) == 1
    assert finished[0].found == used()[0] == 210


def test_a_push_costs_the_same_however_much_is_counted() -> None:
    def statements() -> int:
        with CaptureQueriesContext(connections["registry"]) as captured:
            images.push_blob(APP, images.content(), COUNTED)
        return len(captured)

    images.push_blob(APP, b"first", COUNTED)
    before = statements()
    for number in range(20):
        images.push_blob(OTHER, bytes([number]) * 10, COUNTED)
    assert statements() == before


def test_nothing_limits_before_the_first_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage, "AT_ONCE", 1)
    for number in range(3):
        images.push_blob(APP, bytes([number]) * 10)
    limited = replace(images.ALICE, quotas=Quotas((Quota("acme", 5),)))
    images.push_blob(APP, b"more", limited)
    count_all()
    with pytest.raises(Exception, match="34 bytes of 5 bytes are used"):
        images.push_blob(APP, b"more still", limited)


def let_drift(path: str) -> None:
    """Add 7 bytes where nothing is: whatever is pushed counts in a slot of its own choice."""
    free = UsageTotal.objects.filter(usage__path=path, bytes=0).first()
    assert free is not None
    UsageTotal.objects.filter(pk=free.pk).update(bytes=7)


def test_a_drift_is_found_and_mended(caplog: pytest.LogCaptureFixture) -> None:
    images.push_blob(APP, b"x" * 50, COUNTED)
    let_drift("acme")
    usage.count_again(Usage.objects.get(path="acme").pk)
    (count,) = count_all()
    assert (count.said, count.found, count.is_first) == (57, 50, False)
    assert "the usage of acme was 57 bytes where 50 are" in caplog.text
    assert used() == (50, 1)


def test_paths_that_are_not_counted_cost_one_question(django_assert_num_queries: Any) -> None:
    images.push_blob(APP, b"x")
    with django_assert_num_queries(1, using="registry"):
        usage.removed([(1, APP, 1)])


def test_a_verification_counts_anew_and_names_what_has_drifted() -> None:
    images.push_blob(APP, b"x" * 50, COUNTED)
    let_drift(APP)
    findings = []
    row = rounds.begin(rounds.COMMAND, resume=False)
    for page in rounds.rounds(row, Verifier()):
        findings += page.findings
    (finding,) = [each for each in findings if each.kind == "usage"]
    assert finding == Finding("usage", APP, "57 bytes were noted where 50 are")
    assert used(APP) == used() == (50, 1)
    assert repairing.repair(finding) == "the totals are those that were counted"
