"""What the collector has removed, by day."""

from __future__ import annotations

import datetime as dt
import uuid
from typing import Any

import pytest
from django.utils import timezone

from registry.models import Receipt
from registry.services.garbage import removals
from tests.registry.base import Person

pytestmark = pytest.mark.django_db(databases=["registry"])

NOON = dt.datetime(2026, 11, 20, 12, tzinfo=dt.UTC)


@pytest.fixture(autouse=True)
def _noon(monkeypatch: Any) -> None:
    monkeypatch.setattr(timezone, "now", lambda: NOON)


def removed(kind: str, size: int, *, days_ago: int = 0) -> None:
    at = NOON - dt.timedelta(days=days_ago)
    Receipt.objects.create(
        kind=kind,
        digest=f"sha256:{'a' * 64}",
        repository="acme/app",
        bytes=size,
        reason="untagged",
        garbage_since=at,
        run=uuid.uuid4(),
        removed_at=at,
    )


def test_by_day() -> None:
    assert removals.by_day() == []
    removed("blob", 1, days_ago=15)
    removed("manifest", 70, days_ago=2)
    removed("blob", 1000, days_ago=2)
    removed("manifest", 30)
    day = NOON.date()
    assert removals.by_day() == [
        (day - dt.timedelta(days=2), 2, 1000),
        (day, 1, 0),
    ]


def test_the_last_ones_alone(monkeypatch: Any) -> None:
    monkeypatch.setattr(removals, "LATEST", 2)
    for _ in range(3):
        removed("blob", 5)
    assert removals.by_day() == [(NOON.date(), 2, 10)]


def test_over_the_wire(gitlab: Person) -> None:
    removed("blob", 5, days_ago=1)
    body = gitlab.send("GET", "/gitlab/v1/garbage/").json()
    assert body["removed"] == [{"day": "2026-11-19", "count": 1, "bytes": 5}]
