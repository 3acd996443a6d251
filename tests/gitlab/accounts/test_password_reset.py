"""Passwords that were forgotten: a link by mail, once, for an hour."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from gitlab.accounts import services, sign_in
from gitlab.accounts.models import ResetRequest
from gitlab.accounts.password_resets import services as resets
from gitlab.audit.models import AuditEvent
from gitlab.mail.models import Message
from tests.gitlab.accounts.factors import set_up_app
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db

ASK = "/users/password/new"
NEW = "seven herons at low tide"


@pytest.fixture(autouse=True)
def _mail(settings: Any) -> None:
    settings.MAIL_ENABLED = True


def ask(client: Client, email: str = "alice@example.com") -> Any:
    return client.post(ASK, {"email": email})


def link() -> str:
    """The path of the link in the last mail, once the job has run."""
    resets.answer()
    text = Message.objects.latest("pk").text
    found = re.search(r"http://[^/\s]+(/users/password/edit/\S+)", text)
    assert found, text
    return found[1]


def follow(client: Client, path: str) -> str:
    """Where the link leads: the same page, whose address holds no key."""
    page = client.get(path)
    assert page.status_code == 302
    assert page["Location"].endswith("-set-password")
    location: str = page["Location"]
    return location


def test_it_works(client: Client, alice: Any) -> None:
    assert ask(client)["Location"] == "/users/sign_in"
    here = follow(client, link())
    assert "New password again" in client.get(here).content.decode()

    done = client.post(here, {"password1": NEW, "password2": NEW})

    assert done["Location"] == "/users/sign_in"
    assert sign_in.verify("alice", NEW, address="") == alice
    assert AuditEvent.objects.filter(action="user.change_password", actor=alice).exists()
    assert "_auth_user_id" not in client.session, "signed in by the new password, or not at all"


def test_the_link_counts_once(client: Client, alice: Any) -> None:
    ask(client)
    path = link()
    client.post(follow(client, path), {"password1": NEW, "password2": NEW})

    assert "This link is over" in Client().get(path).content.decode()


def test_it_ends_by_time(client: Client, alice: Any, settings: Any) -> None:
    settings.PASSWORD_RESET_TIMEOUT = -1
    ask(client)
    assert "This link is over" in client.get(link()).content.decode()


@pytest.mark.parametrize("path", ["0-0", "1-abc", "zz-c0ffee-0123", "1-set-password"])
def test_an_invented_link_is_over(client: Client, alice: Any, path: str) -> None:
    assert "This link is over" in client.get(f"/users/password/edit/{path}").content.decode()


def test_sessions_end(client: Client, alice: Any) -> None:
    hers = Client()
    hers.force_login(alice)
    ask(client)
    client.post(follow(client, link()), {"password1": NEW, "password2": NEW})
    assert hers.get("/-/user_settings/profile").status_code == 302


def test_the_second_factor_stays(client: Client, alice: Any) -> None:
    set_up_app(alice)
    ask(client)
    client.post(follow(client, link()), {"password1": NEW, "password2": NEW})
    answer = client.post("/users/sign_in", {"login": "alice", "password": NEW})
    assert answer["Location"] == "/users/sign_in/two_factor"


@pytest.mark.parametrize("new", ["short", "password123", "alice@example.com"])
def test_the_rules_of_passwords_hold(client: Client, alice: Any, new: str) -> None:
    ask(client)
    page = client.post(follow(client, link()), {"password1": new, "password2": new})
    assert page.status_code == 200
    assert sign_in.verify("alice", PASSWORD, address="") == alice


def test_who_has_the_address_is_not_said(client: Client, alice: Any, bob: Any) -> None:
    services.block(bob, by=None)
    answers = [ask(client, f"{name}@example.com") for name in ("alice", "bob", "nobody")]
    assert {(each.status_code, each["Location"]) for each in answers} == {(302, "/users/sign_in")}
    assert ResetRequest.objects.count() == 3, "the page does the same for each"
    assert resets.answer() == 3
    assert [each.user for each in Message.objects.all()] == [alice]
    assert resets.answer() == 0


def test_it_tells_nothing_by_what_it_asks_the_database(client: Client, alice: Any) -> None:
    ask(client), ask(client, "warm@example.com")
    statements = []
    for email in ("alice@example.com", "nobody@example.com"):
        with CaptureQueriesContext(connection) as asked:
            ask(client, email)
        statements.append([each["sql"].replace(email, "") for each in asked])
    assert [len(each) for each in statements] == [len(statements[0])] * 2


def test_what_waited_for_too_long_is_forgotten(client: Client, alice: Any) -> None:
    ask(client)
    ResetRequest.objects.update(created_at=timezone.now() - resets.STALE)
    assert resets.answer() == 1
    assert not Message.objects.exists()


def test_who_was_blocked_meanwhile_stays_out(client: Client, alice: Any) -> None:
    ask(client)
    here = follow(client, link())
    services.block(alice, by=None)
    assert client.post(here, {"password1": NEW, "password2": NEW}).status_code == 403


def test_three_an_hour_are_sent(client: Client, alice: Any) -> None:
    assert [ask(client).status_code for _ in range(5)] == [302] * 5
    resets.answer()
    assert Message.objects.count() == 3


def test_one_address_asks_twenty_times_an_hour(client: Client) -> None:
    answers = [ask(client, f"p{number}@example.com") for number in range(21)]
    assert [each.status_code for each in answers] == [302] * 20 + [429]
    assert int(answers[-1]["Retry-After"]) > 0


def test_the_link_is_of_our_own_address(alice: Any, settings: Any) -> None:
    settings.ALLOWED_HOSTS = ["*"]
    settings.EXTERNAL_URL = "http://berth.example.com"
    ask(Client(headers={"host": "evil.example"}))
    resets.answer()
    assert "http://berth.example.com/users/password/edit/" in Message.objects.get().text


def test_without_mail_there_is_none(client: Client, settings: Any) -> None:
    assert ASK in client.get("/users/sign_in").content.decode()
    settings.MAIL_ENABLED = False
    assert client.get(ASK).status_code == 404
    assert ASK not in client.get("/users/sign_in").content.decode()
