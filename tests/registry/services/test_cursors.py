"""Readers by cursor miss no row of a transaction that commits late, and wait for no other."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from django.db import connections, models
from django.utils import timezone

from registry.models import Event, Receipt, Repository
from registry.services import cursors, database, events
from registry.services.garbage.batches import receipts_after
from tests.registry.base import Person
from tests.registry.images import ALICE
from tests.registry.services.garbage.collecting import only_refusals

pytestmark = pytest.mark.django_db(databases=["registry"], transaction=True)


def write_event(what: str) -> None:
    events.record(Event.Action.PUSH, what, ALICE)


def write_receipt(what: str) -> None:
    cursors.announce(Receipt)
    Receipt.objects.create(
        kind="blob",
        digest="",
        repository=what,
        bytes=1,
        reason="",
        garbage_since=timezone.now(),
        run=uuid.uuid4(),
    )


def names(rows: list[Any]) -> list[str]:
    return [row.repository for row in rows]


BOTH = pytest.mark.parametrize(
    ("write", "after"), [(write_event, events.after), (write_receipt, receipts_after)]
)
Write = Callable[[str], None]
After = Callable[[int, int], list[Any]]


@contextmanager
def elsewhere(act: Callable[[], None], *, rolls_back: bool = False) -> Iterator[None]:
    """`act` in a transaction of another connection that is open for as long as the block lasts."""
    acted, ended = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            with suppress(KeyboardInterrupt), database.atomic():
                act()
                acted.set()
                ended.wait(60)
                if rolls_back:
                    raise KeyboardInterrupt
        except BaseException as error:
            failures.append(error)
        finally:
            acted.set()
            connections["registry"].close()

    thread = threading.Thread(target=run)
    thread.start()
    acted.wait(60)
    try:
        yield
    finally:
        ended.set()
        thread.join(60)
    assert not failures


@pytest.mark.postgresql
@BOTH
def test_one_that_commits_late_is_waited_for(write: Write, after: After) -> None:
    write("before")
    with elsewhere(lambda: write("late")):
        write("early")
        assert names(after(0, 10)) == ["before"]
    found = after(0, 10)
    assert names(found) == ["before", "late", "early"]
    assert names(after(found[1].pk, 10)) == ["early"]


@pytest.mark.postgresql
@BOTH
def test_one_that_is_rolled_back_holds_nothing_back(write: Write, after: After) -> None:
    with elsewhere(lambda: write("never"), rolls_back=True):
        write("early")
        assert names(after(0, 10)) == []
    assert names(after(0, 10)) == ["early"]


@pytest.mark.postgresql
@BOTH
def test_a_transaction_that_writes_none_holds_nothing_back(write: Write, after: After) -> None:
    """As a long push of something else, a dump, or any of another database of the server."""

    def long() -> None:
        Repository.objects.create(name="acme/long")

    with elsewhere(long):
        write("early")
        assert names(after(0, 10)) == ["early"]


@pytest.mark.postgresql
def test_the_two_kinds_do_not_hold_each_other_back() -> None:
    with elsewhere(lambda: write_event("late")):
        write_receipt("early")
        assert names(receipts_after(0, 10)) == ["early"]
    assert names(events.after(0, 10)) == ["late"]


@pytest.mark.postgresql
def test_an_id_beyond_32_bits_is_compared_as_it_is() -> None:
    far = 2**33
    with connections["registry"].cursor() as cursor:
        cursor.execute("SELECT setval('registry_event_id_seq', %s)", [far])
    with elsewhere(lambda: write_event("late")):
        write_event("early")
        assert names(events.after(0, 10)) == []
    assert [event.pk for event in events.after(far, 10)] == [far + 1, far + 2]


@BOTH
def test_a_writer_sees_its_own(write: Write, after: After) -> None:
    with database.atomic():
        write("mine")
        assert names(after(0, 10)) == ["mine"]


@BOTH
def test_many_writers_and_a_reader(
    write: Write, after: After, at_once: Callable[..., list[Any]]
) -> None:
    """Each row is read once and in order, however the commits fall."""
    count, writers = 40, 4
    left = [writers]

    def work(seed: int) -> None:
        chance = random.Random(seed)
        try:
            for number in range(count):
                with database.atomic():
                    for part in range(chance.randint(1, 3)):
                        write(f"{seed}/{number}/{part}")
                    threading.Event().wait(chance.random() / 200)
        finally:
            left[0] -= 1

    def read() -> list[models.Model]:
        seen: list[Any] = []
        while True:
            ended = not left[0]
            found = after(seen[-1].pk if seen else 0, 7)
            seen += found
            if ended and not found:
                return seen

    *others, seen = at_once(*(lambda s=seed: work(s) for seed in range(writers)), read)
    only_refusals([*others, seen])
    model = type(seen[0])
    assert [row.pk for row in seen] == list(
        model.objects.order_by("pk").values_list("pk", flat=True)
    )
    assert len(seen) >= writers * count


@pytest.mark.postgresql
def test_over_the_wire(gitlab: Person) -> None:
    def both() -> None:
        write_event("late")
        write_receipt("late")

    with elsewhere(both):
        write_event("early")
        write_receipt("early")
        for address in ("/gitlab/v1/events/", "/gitlab/v1/garbage/receipts/"):
            assert gitlab.send("GET", address).json() == []
    for address in ("/gitlab/v1/events/", "/gitlab/v1/garbage/receipts/"):
        read = gitlab.send("GET", address).json()
        assert [row["repository"] for row in read] == ["late", "early"]
