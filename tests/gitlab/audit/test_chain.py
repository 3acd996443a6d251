"""The chain of digests, and the triggers that keep the database from changing an event."""

from __future__ import annotations

import datetime as dt
import io
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, models, transaction
from django.utils import timezone

from gitlab.audit import chain, retention, triggers
from gitlab.audit.models import AuditChain, AuditEvent
from gitlab.audit.services import record
from workers import tasks

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def guarded(db: None) -> None:
    """As in production: the tests' SQLite goes without this one (see ``tests/conftest.py``)."""
    if connection.vendor == "sqlite":
        triggers.make(connection, triggers.REMOVED)


@pytest.fixture
def unguarded(guarded: None) -> Iterator[None]:
    """Of somebody who may change the schema."""
    with transaction.atomic():
        triggers.drop(connection)
        yield
        transaction.set_rollback(True)


@pytest.fixture
def five(guarded: None) -> list[AuditEvent]:
    """Sealed events, the oldest first."""
    now = timezone.now()
    for days in (50, 40, 30, 20, 10):
        record("thing.do", by=None, at=now - dt.timedelta(days=days), day=days, name="Grün")
    chain.seal()
    return list(AuditEvent.objects.order_by("chain_position"))


def rows() -> models.QuerySet[AuditEvent]:
    """Without what the manager refuses."""
    return models.QuerySet(AuditEvent)


def test_what_is_added_is_sealed_in_order(
    five: list[AuditEvent], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chain, "BATCH", 2)
    for number in range(5):
        record("more.do", by=None, number=number)
    assert chain.unsealed().count() == 5
    tasks.seal_audit_events()
    assert chain.unsealed().count() == 0
    found = list(AuditEvent.objects.order_by("chain_position"))
    assert [event.chain_position for event in found] == list(range(1, 11))
    assert [event.pk for event in found] == sorted(event.pk for event in found)
    before = ""
    for event in found:
        assert event.digest == chain.digest_of(event, before)
        before = event.digest
    held = AuditChain.objects.get()
    assert (held.position, held.digest) == (10, before)
    assert chain.seal() == 0


def test_a_late_transaction_is_sealed_behind(five: list[AuditEvent]) -> None:
    """PostgreSQL gives the id when a row is written, and shows it when its transaction ends."""
    late = AuditEvent(pk=five[0].pk - 1, action="thing.late")
    late.save(force_insert=True)
    chain.seal()
    late.refresh_from_db()
    assert late.chain_position == 6
    assert chain.verify().faults == []


@pytest.mark.parametrize("is_sealed", [True, False])
@pytest.mark.parametrize(
    "change",
    [
        lambda row: row.update(action="other.do"),
        lambda row: row.update(actor_name="bob"),
        lambda row: row.update(details={}),
        lambda row: row.delete(),
    ],
)
def test_the_database_refuses(five: list[AuditEvent], change: Any, is_sealed: bool) -> None:
    if not is_sealed:
        five.append(record("thing.do", by=None))
    with pytest.raises(DatabaseError, match="never changed or removed"), transaction.atomic():
        change(rows().filter(pk=five[-1].pk))


def test_what_is_sealed_is_not_sealed_again(five: list[AuditEvent]) -> None:
    with pytest.raises(DatabaseError, match="never changed"), transaction.atomic():
        rows().filter(pk=five[0].pk).update(digest="0" * 64)


def test_somebody_who_is_deleted_changes_no_event(bob: Any, root: Any) -> None:
    from gitlab.accounts import services

    record("thing.do", by=bob)
    pk = bob.pk
    services.delete_user(bob, by=root)
    event = AuditEvent.objects.get(action="thing.do")
    assert (event.actor_id, event.actor_name) == (pk, "bob")


@pytest.mark.usefixtures("unguarded")
@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row.update(action="other.do"), "at position 3 is not what was sealed"),
        (lambda row: row.update(at=timezone.now()), "at position 3 is not what was sealed"),
        (lambda row: row.delete(), "1 missing behind position 2"),
    ],
)
def test_what_was_changed_shows(five: list[AuditEvent], change: Any, said: str) -> None:
    change(rows().filter(chain_position=3))
    assert said in chain.verify().faults[0]
    with pytest.raises(CommandError, match=said):
        call_command("audit", "verify")


@pytest.mark.usefixtures("unguarded")
def test_what_is_cut_off_at_the_end_shows(five: list[AuditEvent]) -> None:
    rows().filter(chain_position__gt=3).delete()
    assert chain.verify().faults == ["the chain ends at 3, and was sealed up to 5"]


@pytest.mark.usefixtures("unguarded")
def test_who_writes_the_whole_chain_anew_is_found_by_what_was_kept(
    five: list[AuditEvent],
) -> None:
    kept = f"5:{five[-1].digest}"
    call_command("audit", "verify", f"--against={kept}", stdout=io.StringIO())
    rows().filter(chain_position=3).update(action="other.do")
    rows().update(chain_position=None, digest="")
    AuditChain.objects.update(position=0, digest="")
    chain.seal()
    assert chain.verify().faults == []
    with pytest.raises(CommandError, match="the digest at 5 is another"):
        call_command("audit", "verify", f"--against={kept}")
    with pytest.raises(CommandError, match="9 was sealed once, and the chain ends at 5"):
        call_command("audit", "verify", f"--against=9:{'0' * 64}")
    with pytest.raises(CommandError, match="POSITION:DIGEST"):
        call_command("audit", "verify", "--against=5")


def test_the_rest_is_proven_after_a_sweep(settings: Any, five: list[AuditEvent]) -> None:
    settings.AUDIT_EVENTS_KEPT = dt.timedelta(days=25)
    assert retention.sweep() == 3
    found = chain.verify(3, five[2].digest)
    assert found.faults == []
    assert (found.first, found.last, found.count, found.swept) == (4, 5, 2, 3)
    assert found.unsealed == 1
    assert chain.verify(3, "0" * 64).faults == [
        "the digest at 3 is another than the one that was kept"
    ]
    assert "2 is gone" in chain.verify(2, five[1].digest).faults[0]
    said = io.StringIO()
    call_command("audit", "verify", stdout=said)
    assert f"2 events are what was sealed, the last at 5:{five[-1].digest}." in said.getvalue()
    assert "3 before them are gone" in said.getvalue()
    assert "1 are not sealed yet" in said.getvalue()


def test_an_empty_chain_is_whole() -> None:
    assert chain.verify().faults == []


def test_only_the_beginning_goes(settings: Any, five: list[AuditEvent]) -> None:
    """An old event behind a younger one waits: what is left has to be a chain."""
    settings.AUDIT_EVENTS_KEPT = dt.timedelta(days=15)
    record("thing.late", by=None, at=timezone.now() - dt.timedelta(days=90))
    retention.sweep()
    assert AuditEvent.objects.filter(action="thing.late").exists()
    assert chain.verify().faults == []
