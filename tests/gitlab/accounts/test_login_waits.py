"""Who has to wait after failed logins: administrators see it and lift it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.accounts import login_waits, sign_in
from gitlab.accounts.failed_logins import TooManyFailedLogins
from gitlab.accounts.models import LoginWait
from gitlab.audit.models import AuditEvent
from gitlab.refusals import Forbidden
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db

HERE = "192.0.2.1"


@pytest.fixture(autouse=True)
def _three(settings: Any) -> None:
    settings.FAILED_LOGIN_LIMIT = 3


def fail(login: str = "alice", times: int = 3) -> None:
    for number in range(times):
        with pytest.raises(sign_in.WrongPassword):
            sign_in.verify(login, f"wrong {number}", address=HERE)


def waits() -> None:
    with pytest.raises(TooManyFailedLogins):
        sign_in.verify("alice", PASSWORD, address=HERE)


def test_a_refusal_is_noted_once(alice: Any) -> None:
    fail()
    assert not LoginWait.objects.exists()
    waits()
    row = LoginWait.objects.get()
    assert (row.user, row.address) == (alice, HERE)
    assert row.until > timezone.now()
    with CaptureQueriesContext(connection) as asked:
        waits()
    of_waits = [each["sql"] for each in asked if "accounts_loginwait" in each["sql"]]
    assert [sql.split()[0] for sql in of_waits] == ["SELECT"]
    assert LoginWait.objects.get().until == row.until


def test_a_name_that_nobody_has_leaves_nothing() -> None:
    fail("nobody-here")
    with pytest.raises(TooManyFailedLogins):
        sign_in.verify("nobody-here", "x", address=HERE)
    assert not LoginWait.objects.exists()


@pytest.mark.parametrize("by_mail", [False, True])
def test_lifting_lets_them_in(alice: Any, root: Any, by_mail: bool) -> None:
    fail("alice@example.com" if by_mail else "alice")
    login_waits.lift(alice, by=root)
    assert sign_in.verify("alice", PASSWORD, address=HERE) == alice
    assert sign_in.verify("alice@example.com", PASSWORD, address=HERE) == alice
    assert not LoginWait.objects.exists()
    assert AuditEvent.objects.filter(action="user.lift_failed_logins", actor=root).count() == 1


def test_lifting_is_no_licence_to_guess(alice: Any, root: Any) -> None:
    fail()
    login_waits.lift(alice, by=root)
    fail()
    waits()


def test_nobody_lifts_their_own(alice: Any, bob: Any) -> None:
    for by in (alice, bob):
        with pytest.raises(Forbidden):
            login_waits.lift(alice, by=by)


def test_there_is_an_end_to_the_rows(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(login_waits, "MOST", 2)
    for number in range(4):
        login_waits.note(alice, f"192.0.2.{number}", 60)
    assert LoginWait.objects.count() == 2


def test_they_are_swept(alice: Any) -> None:
    login_waits.note(alice, "192.0.2.1", 60)
    login_waits.note(alice, "192.0.2.2", 60)
    over = timezone.now() - dt.timedelta(seconds=1)
    LoginWait.objects.filter(address="192.0.2.1").update(until=over)
    assert login_waits.sweep() == 1
    login_waits.note(alice, "192.0.2.1", 60)
    assert LoginWait.objects.count() == 2


def test_the_console_shows_and_lifts_it(client: Client, alice: Any, root: Any) -> None:
    fail()
    waits()
    client.force_login(root)
    page = "/admin/people/alice/"
    assert f"At {HERE}" in client.get(page).content.decode()

    client.post("/admin/people/-/unlock", {"selected": ["alice"], "confirmed": "yes"})

    assert f"At {HERE}" not in client.get(page).content.decode()
    assert sign_in.verify("alice", PASSWORD, address=HERE) == alice
