"""Where one is signed in: listed, ended one by one and all, ended by what has to end them."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from allauth.usersessions.models import UserSession
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from gitlab.accounts import services, sessions
from gitlab.audit.models import AuditEvent
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db

PAGE = "/-/user_settings/active_sessions"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/18.0 Mobile/15E148 Safari/604.1"
)


def browser(login: str = "alice", agent: str = FIREFOX, address: str = "192.0.2.7") -> Client:
    """A browser of its own, signed in by the page."""
    made = Client(headers={"User-Agent": agent}, REMOTE_ADDR=address)
    made.post("/users/sign_in", {"login": login, "password": PASSWORD})
    return made


def is_in(client: Client) -> bool:
    return client.get("/-/user_settings/profile").status_code == 200


def test_they_are_listed_with_device_and_place(alice: Any) -> None:
    browser(agent=IPHONE, address="2001:db8::9")
    page = browser().get(PAGE)

    shown = [
        (row.browser, row.system, row.address, row.is_this) for row in page.context["sessions"]
    ]
    assert shown == [
        ("Firefox", "Linux", "192.0.2.7", True),
        ("Safari", "iPhone", "2001:db8::9", False),
    ]
    assert "no-store" in page["Cache-Control"]


def test_others_do_not_see_them(alice: Any, bob: Any) -> None:
    browser()
    assert len(browser("bob").get(PAGE).context["sessions"]) == 1


def test_one_is_ended(alice: Any) -> None:
    one, two, this = browser(), browser(), browser()
    row = UserSession.objects.get(session_key=one.session.session_key)

    this.post(f"{PAGE}/{row.pk}/end")

    assert [is_in(each) for each in (one, two, this)] == [False, True, True]
    assert AuditEvent.objects.filter(action="user.end_session").count() == 1


def test_nobody_ends_anothers(alice: Any, bob: Any) -> None:
    hers = browser()
    row = UserSession.objects.get(session_key=hers.session.session_key)

    assert browser("bob").post(f"{PAGE}/{row.pk}/end").status_code == 404
    assert is_in(hers)


def test_all_others_are_ended(alice: Any, bob: Any) -> None:
    one, his, this = browser(), browser("bob"), browser()

    this.post(f"{PAGE}/end")

    assert [is_in(each) for each in (one, his, this)] == [False, True, True]
    assert [row.is_this for row in this.get(PAGE).context["sessions"]] == [True]


def test_one_that_nobody_noted_ends_as_well(alice: Any) -> None:
    """Those from before this was noted have no row."""
    old, this = browser(), browser()
    UserSession.objects.filter(session_key=old.session.session_key).delete()

    this.post(f"{PAGE}/end")

    assert not is_in(old)


def test_another_password_ends_the_others(alice: Any) -> None:
    other, this = browser(), browser()
    changed = {"current_password": PASSWORD, "new_password": (new := "another-long-one")}

    this.post("/-/user_settings/password", {**changed, "repeated": new})

    assert is_in(this)
    assert not is_in(other)
    assert len(this.get(PAGE).context["sessions"]) == 1


@pytest.mark.parametrize("back", ["unblock", "activate"])
def test_who_comes_back_signs_in_anew(alice: Any, root: Any, back: str) -> None:
    hers = browser()
    {"unblock": services.block, "activate": services.deactivate}[back](alice, by=root)
    {"unblock": services.unblock, "activate": services.activate}[back](alice, by=root)
    assert not is_in(hers)


def test_signing_out_takes_the_row_along(alice: Any) -> None:
    hers = browser()
    hers.post("/users/sign_out")
    assert not UserSession.objects.exists()


def test_there_is_an_end_to_them(alice: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MOST", 3)
    many = [browser() for _ in range(5)]
    assert [is_in(each) for each in many] == [False, False, True, True, True]


def test_the_last_use_is_noted_now_and_then(alice: Any) -> None:
    hers = browser()
    is_in(hers)
    long_ago = timezone.now() - dt.timedelta(hours=3)
    UserSession.objects.update(last_seen_at=long_ago)
    is_in(hers)
    assert UserSession.objects.get().last_seen_at == long_ago, "not at each request"

    session = hers.session
    session["seen_at"] = int(long_ago.timestamp())
    session.save()
    is_in(hers)

    assert timezone.now() - UserSession.objects.get().last_seen_at < dt.timedelta(minutes=1)


def test_the_sweep_takes_the_rows_along(alice: Any) -> None:
    browser()
    Session.objects.update(expire_date=timezone.now() - dt.timedelta(days=1))
    assert sessions.sweep() == 1
    assert not UserSession.objects.exists()


def test_the_sweep_finds_rows_whose_session_is_gone(alice: Any) -> None:
    browser()
    kept = browser()
    key = kept.session.session_key
    month = timezone.now() - dt.timedelta(days=30)
    UserSession.objects.exclude(session_key=key).update(last_seen_at=month)
    sessions.sweep()
    assert UserSession.objects.get().session_key == key
