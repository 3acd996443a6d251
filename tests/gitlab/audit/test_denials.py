"""Denials: gathered in memory, bounded, written in batches, swept; failed logins are recorded."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import OperationalError
from django.utils import timezone

from gitlab.accounts import sign_in
from gitlab.audit import denials
from gitlab.audit.models import AuditEvent, Denial
from gitlab.audit.origin import acting_from
from tests.people import PASSWORD
from workers import tasks

pytestmark = pytest.mark.django_db


def denied(number: int = 0, *, address: str = "192.0.2.9", who: str = "bob") -> denials.Denied:
    return denials.Denied("scope", who, "no role", address=address, path=f"acme/app{number}")


def test_the_same_again_counts() -> None:
    first = denials.note(denied())
    assert len(first) == 10
    assert denials.note(denied()) == first
    assert not Denial.objects.exists()
    assert denials.flush()
    assert Denial.objects.get().count == 2
    denials.note(denied())
    denials.flush()
    denials.flush()
    row = Denial.objects.get()
    assert (row.reference, row.count, row.path, row.reason) == (first, 3, "acme/app0", "no role")
    assert row.first_at < row.last_at


def test_an_hour_later_it_is_another(monkeypatch: pytest.MonkeyPatch) -> None:
    first = denials.note(denied())
    denials.flush()
    monkeypatch.setattr(denials, "REMEMBERED", -1.0)
    second = denials.note(denied())
    assert second not in ("", first)
    denials.flush()
    assert Denial.objects.count() == 2


@pytest.mark.parametrize("same", [{"address": "192.0.2.9"}, {"who": "bob"}])
def test_one_address_and_one_name_have_a_bound(
    monkeypatch: pytest.MonkeyPatch, same: dict[str, str]
) -> None:
    monkeypatch.setattr(denials, "MOST_OF_ONE", 3)
    made = [
        denials.note(denied(n, **{"address": f"192.0.2.{n}", "who": f"user{n}", **same}))
        for n in range(5)
    ]
    assert [bool(reference) for reference in made] == [True, True, True, False, False]
    assert denials.note(denied(9, address="198.51.100.1", who="other"))


def test_the_addresses_of_one_network_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else whoever has a /64 fills the memory, and nobody's failed logins are recorded."""
    monkeypatch.setattr(denials, "MOST_OF_ONE", 3)
    made = [denials.note(denied(n, address=f"2001:db8::{n}", who=f"user{n}")) for n in range(5)]
    assert [bool(reference) for reference in made] == [True, True, True, False, False]
    assert denials.note(denied(address="2001:db8:0:1::1", who="carol"))


def test_memory_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(denials, "MAX_KEYS", 3)
    made = [denials.note(denied(n, address=f"192.0.2.{n}", who=f"user{n}")) for n in range(5)]
    assert [bool(reference) for reference in made] == [True, True, True, False, False]
    # What has its number counts on.
    assert denials.note(denied(0, address="192.0.2.0", who="user0")) == made[0]


def test_a_database_that_is_away_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reference = denials.note(denied())
    write = denials._write

    def fail(taken: Any) -> None:
        raise OperationalError

    monkeypatch.setattr(denials, "_write", fail)
    assert not denials.flush()
    monkeypatch.setattr(denials, "_write", write)
    denials.note(denied())
    assert denials.flush()
    row = Denial.objects.get()
    assert (row.reference, row.count) == (reference, 2)


def test_how_long_they_are_kept(settings: Any) -> None:
    settings.DENIALS_KEPT = dt.timedelta(days=3)
    for number in range(3):
        denials.note(denied(number))
    denials.flush()
    old = Denial.objects.order_by("pk")[0]
    Denial.objects.filter(pk=old.pk).update(last_at=timezone.now() - dt.timedelta(days=4))
    tasks.sweep_audit_events()
    assert Denial.objects.count() == 2
    settings.DENIALS_KEPT = dt.timedelta(0)
    assert denials.note(denied(8)) == ""
    tasks.sweep_audit_events()
    assert not Denial.objects.exists()


def test_the_oldest_go_where_there_are_too_many(monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        denials.note(denied(number))
    denials.flush()
    for number, row in enumerate(Denial.objects.order_by("pk")):
        Denial.objects.filter(pk=row.pk).update(
            last_at=timezone.now() - dt.timedelta(minutes=10 - number)
        )
    monkeypatch.setattr(denials, "MOST_KEPT", 2)
    assert denials.sweep() == 3
    assert {row.path for row in Denial.objects.all()} == {"acme/app3", "acme/app4"}


def fail(login: str, password: str = "wrong", times: int = 1) -> None:
    for _ in range(times):
        with (
            acting_from("192.0.2.9"),
            pytest.raises((sign_in.SignInRefused, sign_in.failed_logins.TooManyFailedLogins)),
        ):
            sign_in.verify(login, password, address="192.0.2.9")


def test_failed_logins_are_gathered(alice: Any) -> None:
    fail("alice", times=12)
    denials.flush()
    row = Denial.objects.get(reason="the password is wrong")
    assert (row.name, row.person_pk, row.address) == ("alice", alice.pk, "192.0.2.9")
    event = AuditEvent.objects.get(action="user.fail_sign_in", details__reason=row.reason)
    assert event.details["failures"] == row.count
    assert event.details["denial"] == row.reference
    assert (event.person_pk, event.target_path, event.actor) == (alice.pk, "alice", None)
    for _ in range(3):
        fail("alice")
        denials.flush()
    found = AuditEvent.objects.filter(action="user.fail_sign_in", details__denial=row.reference)
    assert found.count() <= 2


def test_what_nobody_is_called_is_not_kept(alice: Any) -> None:
    fail("my-secret-password-by-mistake", PASSWORD)
    denials.flush()
    row = Denial.objects.get()
    assert (row.name, row.person_pk, row.reason) == ("", None, "nobody has this name")
    texts = [*Denial.objects.values_list(), *AuditEvent.objects.values_list()]
    assert "my-secret" not in str(texts)
    assert PASSWORD not in str(texts)


def test_a_blocked_one_reads_why(alice: Any, root: Any) -> None:
    from gitlab.accounts import services

    services.block(alice, by=root)
    fail("alice", PASSWORD)
    denials.flush()
    assert Denial.objects.get().reason == "the account is blocked"
