"""The queue of mails: said once, tried again, given up, forgotten."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core import mail
from django.core.mail.backends.locmem import EmailBackend
from django.db import transaction
from django.utils import timezone

from gitlab.jobs import due
from gitlab.mail import services
from gitlab.mail.models import Message

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _on(settings: Any, enqueued: Any) -> None:
    settings.MAIL_ENABLED = True


class Trouble(EmailBackend):
    """A mail server that does not answer."""

    def send_messages(self, messages: Any) -> int:
        raise ConnectionRefusedError("nobody there")


def passed(**time: int) -> None:
    """As if so much time had passed for all that waits."""
    for row in Message.objects.filter(status="waiting"):
        Message.objects.filter(pk=row.pk).update(due_at=row.due_at - dt.timedelta(**time))


@pytest.mark.django_db(transaction=True)
def test_it_is_sent_by_a_job(alice: Any, enqueued: Any) -> None:
    with transaction.atomic():
        services.queue(alice, "Hello", "there")
        assert enqueued == []
    assert enqueued == [(services.TASK,)]
    assert services.send_due() == 1
    assert services.send_due() == 0
    (sent,) = mail.outbox
    assert (sent.subject, sent.body, sent.to) == ("Hello", "there", ["alice@example.com"])


def test_the_address_is_that_of_the_moment(alice: Any) -> None:
    services.queue(alice, "Hello", "there")
    alice.email = "new@example.com"
    alice.save()
    services.send_due()
    assert mail.outbox[0].to == ["new@example.com"]


def test_who_gets_none(alice: Any, bob: Any, app: Any, make_access_token: Any) -> None:
    bot = make_access_token(app)[0].user
    assert services.queue(bot, "Hello", "there") is None
    bob.state = "blocked"
    bob.save()
    assert services.queue(bob, "Hello", "there") is None
    services.queue(alice, "Hello", "there")
    alice.state = "blocked"
    alice.save()
    assert services.send_due() == 0
    row = Message.objects.get()
    assert (row.status, row.failure_reason) == ("failed", "the account gets no mail")
    assert mail.outbox == []


def test_nothing_is_kept_where_mail_is_off(alice: Any, settings: Any) -> None:
    settings.MAIL_ENABLED = False
    assert services.queue(alice, "Hello", "there") is None
    assert services.send_due() == 0
    assert not Message.objects.exists()


def test_a_server_in_trouble_is_asked_again_later(alice: Any, settings: Any, caplog: Any) -> None:
    services.queue(alice, "Hello", "there")
    services.queue(alice, "Hello", "again")
    working = settings.EMAIL_BACKEND
    settings.EMAIL_BACKEND = f"{__name__}.Trouble"
    assert services.send_due() == 0
    # It is not asked for each that waits.
    assert sorted(Message.objects.values_list("attempts", flat=True)) == [0, 1]
    first = Message.objects.get(attempts=1)
    assert first.failure_reason == "ConnectionRefusedError: nobody there"
    assert first.due_at > timezone.now() + dt.timedelta(minutes=1)
    assert "was not sent" in caplog.text
    settings.EMAIL_BACKEND = working
    assert services.send_due() == 1
    passed(minutes=2)
    assert services.send_due() == 1
    assert [each.body for each in mail.outbox] == ["again", "there"]


def test_it_is_given_up_at_last(alice: Any, settings: Any, caplog: Any) -> None:
    settings.EMAIL_BACKEND = f"{__name__}.Trouble"
    services.queue(alice, "Hello", "there")
    for _ in range(due.MOST_ATTEMPTS):
        assert services.send_due() == 0
        passed(days=1)
    row = Message.objects.get()
    assert (row.status, row.attempts) == ("failed", due.MOST_ATTEMPTS)
    assert "was given up" in caplog.text
    assert services.send_due() == 0


def test_two_workers_send_it_once(alice: Any) -> None:
    row = services.queue(alice, "Hello", "there")
    assert row is not None
    assert services._ROWS.take(row.pk) is not None
    assert services._ROWS.take(row.pk) is None
    assert services.send_due() == 0
    # The first one died: its lease ends.
    passed(minutes=6)
    assert services.send_due() == 1


def test_what_no_header_can_hold(alice: Any) -> None:
    alice.email = "a@b.example\nbcc: everybody@example.com"
    alice.save()
    services.queue(alice, "Hello", "there")
    assert services.send_due() == 0
    assert Message.objects.get().status == "failed"
    assert mail.outbox == []


def test_at_most_so_many_at_once(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(services, "AT_ONCE", 2)
    for number in range(3):
        services.queue(alice, f"{number}", "there")
    assert services.send_due() == 2
    assert services.send_due() == 1


def test_what_is_done_goes_after_a_month(alice: Any) -> None:
    for _ in range(2):
        services.queue(alice, "Hello", "there")
    services.send_due()
    old = Message.objects.first()
    assert old is not None
    month = timezone.now() - dt.timedelta(days=31)
    Message.objects.filter(pk=old.pk).update(done_at=month)
    services.send_due()
    assert Message.objects.count() == 1


@pytest.fixture
def app(alice: Any, make_project: Any) -> Any:
    return make_project("acme/app", owner=alice)
