"""A collector that others wait for takes shorter steps, and leaves them time between two."""

from __future__ import annotations

import time
from typing import Any

import pytest
from django.db import connections, transaction

from registry.services import database
from registry.services.garbage import batches, unlinking
from registry.services.garbage import collection as garbage
from registry.services.garbage.batches import Batch, Division, Run
from registry.storage.filesystem import FilesystemStore
from tests.registry import images
from tests.registry.base import APP
from tests.registry.services.garbage.collecting import files

pytestmark = [
    pytest.mark.django_db(databases=["registry"]),
    pytest.mark.usefixtures("short_delays"),
]


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many candidates each transaction of the collector has."""
    found: list[int] = []
    together = garbage._review_together

    def counted(division: Division[int], run: Run) -> tuple[Batch, float]:
        found.append(len(division.repository_ids))
        return together(division, run)

    monkeypatch.setattr(garbage, "_review_together", counted)
    return found


def test_a_transaction_is_as_long_as_the_last_one_allows(
    clock: Any, monkeypatch: pytest.MonkeyPatch, steps: list[int]
) -> None:
    sizes = iter([1, 2, 6, 6])

    def pace(run: Run, count: int, seconds: float, *, others_wait: bool) -> None:
        run.size = next(sizes)

    monkeypatch.setattr(Run, "pace", pace)
    for _ in range(12):
        images.push_blob(APP, images.content())
    clock.advance(days=2)
    run = Run(size=3)
    monkeypatch.setattr(garbage, "Run", lambda: run)
    assert garbage.review(1000).removed == 12
    assert steps == [3, 1, 2, 6]


@pytest.mark.parametrize(
    ("size", "count", "seconds", "others_wait", "following"),
    [
        (40, 40, 0.020, True, 20),
        (40, 40, 0.005, True, 80),
        (40, 40, 0.020, False, 80),
        (40, 40, 0.200, False, 20),
        (40, 10, 0.100, False, 10),
        (150, 150, 0.001, False, 200),
        (40, 40, 0.0, False, 80),
        (40, 40, 9.0, True, 5),
        (5, 1, 9.0, False, 5),
    ],
)
def test_the_next_size_follows_from_how_long_the_last_one_took(
    monkeypatch: pytest.MonkeyPatch,
    *,
    size: int,
    count: int,
    seconds: float,
    others_wait: bool,
    following: int,
) -> None:
    monkeypatch.setattr(batches, "_HELD", 0.1)
    run = Run(size=size)
    run.pace(count, seconds, others_wait=others_wait)
    assert run.size == following


@pytest.fixture
def slow_turns(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Each transaction waits for half a minute until it may write. How long the breaks are."""
    now: list[float] = [1000.0]
    breaks: list[float] = []
    begin = database.atomic

    def wait() -> transaction.Atomic:
        now[0] += 30.0
        return begin()

    monkeypatch.setattr(database, "atomic", wait)
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(database, "let_others_write", lambda seconds: bool(breaks.append(seconds)))
    return breaks


def test_who_waits_for_its_turn_is_not_taken_for_slow(
    clock: Any,
    monkeypatch: pytest.MonkeyPatch,
    slow_turns: list[float],
    steps: list[int],
    store: FilesystemStore,
) -> None:
    """It would make steps ever smaller, and unlinking would do nothing in any of its turns."""
    for _ in range(12):
        images.push_blob(APP, images.content())
    clock.advance(days=2)
    monkeypatch.setattr(garbage, "Run", lambda: Run(size=6))
    assert garbage.review(1000).removed == 12
    assert steps == [6, 6]
    assert set(slow_turns) == {0.0}
    assert files(store) == set()


def test_unlinking_goes_on_however_many_wait(
    clock: Any, monkeypatch: pytest.MonkeyPatch, store: FilesystemStore
) -> None:
    monkeypatch.setattr(database, "others_wait", lambda: True)
    monkeypatch.setattr(unlinking, "_STEP", 3)
    for _ in range(10):
        images.push_blob(APP, images.content())
    clock.advance(days=2)
    run = garbage.review(1000)
    assert run.bytes == 1000
    assert files(store) == set()


def test_who_waits_is_what_the_engine_says(monkeypatch: pytest.MonkeyPatch) -> None:
    for answer in (True, False):
        monkeypatch.setattr(connections["registry"], "others_wait", lambda said=answer: said)
        assert database.others_wait() is answer


@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_room_is_made_between_two_transactions_only(monkeypatch: pytest.MonkeyPatch) -> None:
    breaks: list[float] = []
    monkeypatch.setattr(time, "sleep", breaks.append)
    monkeypatch.setattr(database, "others_wait", lambda: True)
    with database.atomic():
        assert database.let_others_write(0.01) is False
    assert database.let_others_write(0.01) is True
    assert database.let_others_write(5.0) is True
    assert breaks == [pytest.approx(0.03), 0.1]
    monkeypatch.setattr(database, "others_wait", lambda: False)
    assert database.let_others_write(5.0) is False
    assert len(breaks) == 2
