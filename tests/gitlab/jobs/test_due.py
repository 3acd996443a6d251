"""Rows that wait for their time: taken by one, left to the next, ended once."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from gitlab.jobs.due import LEASE, DueRows
from gitlab.mail.models import Message

pytestmark = pytest.mark.django_db
ROWS = DueRows(Message.objects.all)


def waiting(ago: float = 0, **more: object) -> Message:
    at = timezone.now() - dt.timedelta(seconds=ago)
    return Message.objects.create(subject="s", text="t", email="a@example.com", due_at=at, **more)


def test_those_due_longest_come_first_and_no_others() -> None:
    second, first = waiting(5), waiting(9)
    waiting(-60)
    waiting(9, status="sent", done_at=timezone.now())
    assert ROWS.ids(5) == [first.pk, second.pk]
    assert ROWS.ids(1) == [first.pk]


def test_one_takes_it_and_the_next_one_when_its_time_is_over() -> None:
    row = waiting(1)
    taken = ROWS.take(row.pk)
    assert taken is not None
    assert taken.attempts == 1
    assert ROWS.take(row.pk) is None
    assert ROWS.ids(5) == []
    Message.objects.update(due_at=taken.due_at - LEASE)
    again = ROWS.take(row.pk)
    assert again is not None
    assert again.attempts == 2


def test_it_is_ended_once() -> None:
    row = waiting(1)
    ROWS.later(row, dt.timedelta(hours=1), failure_reason="busy")
    row.refresh_from_db()
    assert row.failure_reason == "busy"
    assert row.due_at > timezone.now()
    ROWS.end(row, "sent", done_at=timezone.now())
    ROWS.end(row, "failed", done_at=timezone.now())
    ROWS.later(row, dt.timedelta(), failure_reason="late")
    row.refresh_from_db()
    assert (row.status, row.failure_reason) == ("sent", "busy")
    assert ROWS.take(row.pk) is None
