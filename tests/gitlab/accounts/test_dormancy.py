"""Who has not been here for long, and who comes back."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gitlab.access_tokens import services as access_tokens
from gitlab.accounts import dormancy, services, sign_in
from gitlab.accounts.models import User, today
from gitlab.audit.models import AuditEvent
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db

PERIOD = dt.timedelta(days=90)


@pytest.fixture(autouse=True)
def _on(settings: Any) -> None:
    settings.DEACTIVATE_DORMANT_AFTER = PERIOD


def silent(user: User, days: int = 91, **columns: Any) -> None:
    """As if somebody had been here so many days ago for the last time."""
    then = timezone.now() - dt.timedelta(days=days)
    changes = {"created_at": then, "last_activity_on": then.date()} | columns
    User.objects.filter(pk=user.pk).update(**changes)
    user.refresh_from_db()


def test_who_is_silent_rests(alice: Any, bob: Any, root: Any, settings: Any) -> None:
    silent(alice)
    silent(bob, 89)
    settings.DEACTIVATE_DORMANT_AFTER = dt.timedelta(0)
    assert dormancy.sweep() == 0
    settings.DEACTIVATE_DORMANT_AFTER = PERIOD
    assert dormancy.sweep() == 1
    assert dormancy.sweep() == 0
    assert list(User.objects.filter(state="deactivated")) == [alice]
    event = AuditEvent.objects.get(action="user.deactivate")
    assert event.details == {"reason": f"no activity since {alice.last_activity_on}"}
    assert event.actor is None


def test_signing_in_brings_back(alice: Any, root: Any) -> None:
    silent(alice)
    dormancy.sweep()
    with pytest.raises(sign_in.AccountClosed):
        sign_in.verify("alice", PASSWORD, address="")
    Client().post("/users/sign_in", {"login": "alice", "password": PASSWORD})
    assert dormancy.sweep() == 0
    alice.refresh_from_db()
    assert (alice.state, alice.last_activity_on) == ("active", today())


def test_of_whom_nothing_is_known(alice: Any, bob: Any, root: Any) -> None:
    silent(alice, last_activity_on=None)
    silent(bob, last_activity_on=None, created_at=timezone.now())
    assert dormancy.sweep() == 1
    alice.refresh_from_db()
    assert alice.state == "deactivated"


def test_the_last_administrator_stays(root: Any) -> None:
    silent(root)
    assert dormancy.sweep() == 0
    root.refresh_from_db()
    assert root.is_active


def test_bots_and_blocked_people_are_left(
    bob: Any, root: Any, make_project: Any, make_access_token: Any
) -> None:
    bot = make_access_token(make_project("acme/app"))[0].user
    services.block(bob, by=root)
    silent(bot)
    silent(bob)
    dormancy.sweep()
    assert User.objects.get(pk=bot.pk).is_active
    assert User.objects.get(pk=bob.pk).state == "blocked"


def test_a_token_is_activity(alice: Any, make_token: Any) -> None:
    text = make_token(alice)
    silent(alice)
    access_tokens.authenticate(text)
    assert dormancy.sweep() == 0


def test_docker_with_a_password_is_activity(alice: Any) -> None:
    silent(alice)
    sign_in.verify("alice", PASSWORD, address="")
    assert dormancy.sweep() == 0


def test_a_session_is_activity(alice: Any, client: Client) -> None:
    client.force_login(alice)
    silent(alice)
    client.get("/-/user_settings/profile")
    assert dormancy.sweep() == 0


def test_who_comes_at_the_same_moment_stays(alice: Any, root: Any) -> None:
    silent(alice)
    condition = dormancy._silent()
    assert condition is not None
    dormancy.note(alice.pk)
    assert dormancy._rest(alice.pk, condition) is False


def test_it_is_noted_once_a_day(alice: Any, django_assert_num_queries: Any) -> None:
    before = User.objects.get(pk=alice.pk).last_activity_on
    assert before == today(), "from the first day"
    with django_assert_num_queries(1):
        dormancy.note(alice.pk)
