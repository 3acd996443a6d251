"""Events, receipts and the history of tags are kept for a time that is a setting."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.db import connections
from django.utils import timezone

from registry.models import Event, Manifest, Receipt, Repository, Tag
from registry.services import manifests, retention, tag_details, tags, undo
from registry.services.garbage import collection
from tests.registry import images
from tests.registry.base import APP, Person
from tests.registry.images import ALICE

pytestmark = pytest.mark.django_db(databases=["registry"])


def receipt(days: int) -> Receipt:
    """A receipt of so many days ago."""
    moment = timezone.now() - dt.timedelta(days=days)
    return Receipt.objects.create(
        kind="blob",
        digest="sha256:" + "0" * 64,
        repository=APP,
        bytes=1,
        reason="",
        garbage_since=moment,
        run=uuid.uuid4(),
        removed_at=moment,
    )


def event(days: int) -> Event:
    """An event of so many days ago."""
    return Event.objects.create(
        action="push", repository=APP, at=timezone.now() - dt.timedelta(days=days)
    )


def test_what_is_old_goes_in_batches(settings: Any) -> None:
    settings.REGISTRY_EVENTS_KEPT = dt.timedelta(days=10)
    for days in (30, 20, 11, 9, 0):
        event(days)
        receipt(days)
    assert retention.sweep(2) == 4
    assert (Event.objects.count(), Receipt.objects.count()) == (3, 3)
    assert retention.sweep(2) == 2
    assert retention.sweep(2) == 0
    assert (Event.objects.count(), Receipt.objects.count()) == (2, 2)


def test_an_older_one_behind_a_younger_one_waits(settings: Any) -> None:
    """Ids are given in another order than transactions commit, and clocks of nodes differ."""
    settings.REGISTRY_EVENTS_KEPT = dt.timedelta(days=10)
    kept = [event(days).pk for days in (20, 9, 11)][1:]
    retention.sweep(10)
    assert list(Event.objects.order_by("pk").values_list("pk", flat=True)) == kept


def test_they_may_be_kept_for_ever(settings: Any) -> None:
    settings.REGISTRY_EVENTS_KEPT = dt.timedelta(0)
    event(10_000)
    assert retention.sweep(10) == 0
    assert Event.objects.exists()


def test_the_collectors_call_sweeps_and_readers_go_on(gitlab: Person, settings: Any) -> None:
    settings.REGISTRY_EVENTS_KEPT = dt.timedelta(days=10)
    old = event(11).pk
    images.push_image(APP, "v1")
    assert gitlab.send("POST", "/gitlab/v1/garbage/reviews/").status_code == 200
    ids = [entry["id"] for entry in gitlab.send("GET", "/gitlab/v1/events/").json()]
    assert ids
    assert old not in ids
    dry = event(11).pk
    assert gitlab.send("POST", "/gitlab/v1/garbage/reviews/?dry_run=true").status_code == 200
    assert Event.objects.filter(pk=dry).exists()


# The history of tags


def intervals() -> list[str]:
    """What tags point at and have pointed at, the oldest first."""
    return list(Tag.objects.order_by("pk").values_list("digest", flat=True))


@pytest.fixture
def moved(clock: Any) -> list[str]:
    """The digests at which `latest` pointed for ten days each, the last one until now."""
    pushed = []
    for _ in range(5):
        pushed.append(images.push_image(APP, "latest").digest)
        clock.advance(days=10)
    return pushed


def test_history_that_is_old_goes_in_batches(settings: Any, moved: list[str], clock: Any) -> None:
    """What a tag points at is no history, however old it is."""
    settings.REGISTRY_TAG_HISTORY_KEPT = dt.timedelta(days=15)
    assert retention.sweep(2) == 2
    assert intervals() == moved[2:]
    assert retention.sweep(2) == 1
    assert retention.sweep(2) == 0
    assert intervals() == moved[3:]
    repository_id = Repository.objects.get().pk
    clock.advance(days=1000)
    retention.sweep(10)
    assert [tag.digest for tag in tags.history(repository_id, "latest", 10)] == moved[-1:]
    assert manifests.find(APP, "latest").digest == tag_details.find(repository_id, "latest").digest


def test_history_is_kept_as_long_as_undo_is_promised(
    settings: Any, moved: list[str], clock: Any
) -> None:
    """Whichever of the two is shorter; also while a window is longer than what is collected."""
    settings.REGISTRY_TAG_HISTORY_KEPT = dt.timedelta(seconds=1)
    settings.UNDO_WINDOW = dt.timedelta(days=25)
    tags.delete(APP, "latest", ALICE)
    clock.advance(days=24)
    retention.sweep(100)
    ended = Tag.objects.get()
    assert undo.restore_tags(APP, [ended.pk], ALICE) == ["latest"]
    assert manifests.find(APP, "latest").digest == moved[-1]
    manifests.delete(APP, moved[-1], ALICE)
    clock.advance(days=24)
    retention.sweep(100)
    assert undo.restore_manifest(APP, moved[-1], ALICE) == ["latest"]


def test_history_may_be_kept_for_ever(settings: Any, moved: list[str], clock: Any) -> None:
    settings.REGISTRY_TAG_HISTORY_KEPT = dt.timedelta(0)
    clock.advance(days=5000)
    retention.sweep(100)
    assert intervals() == moved


def test_what_history_has_held_is_collected_all_the_same(
    settings: Any, moved: list[str], clock: Any
) -> None:
    """An untagged manifest whose history was swept goes in its time, and no other one does."""
    settings.REGISTRY_TAG_HISTORY_KEPT = dt.timedelta(days=15)
    retention.sweep(100)
    for _ in range(4):
        collection.review(1000)
        clock.advance(days=9)
    assert list(Manifest.objects.values_list("digest", flat=True)) == moved[-1:]


def test_two_that_sweep_at_once_take_each_row_once(
    settings: Any, moved: list[str], clock: Any
) -> None:
    """A row that somebody removes between the two questions counts for nobody else."""
    settings.REGISTRY_TAG_HISTORY_KEPT = dt.timedelta(days=15)
    first = Tag.objects.order_by("pk").first()
    assert first is not None

    def removed_meanwhile(execute: Any, sql: str, *arguments: Any) -> Any:
        answer = execute(sql, *arguments)
        if sql.startswith("SELECT") and "ended_at" in sql and "registry_tag" in sql:
            Tag.objects.filter(pk=first.pk).delete()
        return answer

    with connections["registry"].execute_wrapper(removed_meanwhile):
        assert retention.sweep(100) == 2
    assert intervals() == moved[3:]
