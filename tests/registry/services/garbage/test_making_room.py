"""A collector that others wait for takes smaller steps, and leaves them time between two."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections

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

    def counted(division: Division[int], run: Run) -> Batch:
        found.append(len(division.repository_ids))
        return together(division, run)

    monkeypatch.setattr(garbage, "_review_together", counted)
    return found


@pytest.mark.parametrize(("waits", "last"), [(True, 2), (False, 6)])
def test_steps_are_small_while_others_wait(
    clock: Any, monkeypatch: pytest.MonkeyPatch, steps: list[int], *, waits: bool, last: int
) -> None:
    monkeypatch.setattr(batches, "SIZE", 6)
    monkeypatch.setattr(garbage, "SIZE", 6)
    monkeypatch.setattr(garbage, "SMALL", 2)
    monkeypatch.setattr(database, "let_others_write", lambda seconds: waits)
    for _ in range(12):
        images.push_blob(APP, images.content())
    clock.advance(days=2)
    assert garbage.review(1000).removed == 12
    assert steps[0] == 6
    assert steps[-1] == last
    assert sum(steps) == 12


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


def test_who_waits_is_known_on_sqlite_only(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = connections["registry"]
    assert database.others_wait() is False
    if connection.vendor == "sqlite":
        monkeypatch.setattr(connection, "others_wait", lambda: True)
        assert database.others_wait() is True
    else:
        assert not hasattr(connection, "others_wait")


@pytest.mark.django_db(databases=["registry"], transaction=True)
def test_room_is_made_between_two_transactions_only(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = iter([True, True, False])
    monkeypatch.setattr(database, "others_wait", lambda: next(answers))
    with database.atomic():
        assert database.let_others_write(1.0) is False
    assert database.let_others_write(5.0) is True
    assert next(answers, None) is None
    monkeypatch.setattr(database, "others_wait", lambda: False)
    assert database.let_others_write(5.0) is False
