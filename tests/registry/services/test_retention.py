"""Events and receipts are kept for a time that is a setting."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone

from registry.models import Event, Receipt
from registry.services import retention
from tests.registry import images
from tests.registry.base import APP, Person

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
