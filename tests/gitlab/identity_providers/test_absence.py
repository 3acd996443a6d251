"""Who does not come any more is deactivated, and comes back by signing in."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from gitlab.accounts import services as accounts
from gitlab.accounts.models import User
from gitlab.audit.models import AuditEvent
from gitlab.identity_providers import absence
from gitlab.identity_providers.models import Identity
from tests.gitlab.accounts.factors import set_up_app
from tests.gitlab.identity_providers.played_provider import PlayedProvider
from tests.people import PASSWORD

pytestmark = pytest.mark.django_db


@pytest.fixture
def dora(provider: PlayedProvider, come: Callable[..., Any], client: Client) -> Any:
    """Somebody who came forty days ago."""
    provider.settle(create_users=True, absent_after="30d")
    come()
    Identity.objects.update(seen_at=timezone.now() - dt.timedelta(days=40))
    return User.objects.get(username="dora")


def state(user: Any) -> str:
    user.refresh_from_db()
    return str(user.state)


def test_who_stays_away_is_deactivated(dora: Any, come: Callable[..., Any], client: Client) -> None:
    absence.sweep()
    assert state(dora) == "deactivated"
    assert client.get("/-/user_settings/profile").status_code == 302
    assert AuditEvent.objects.filter(action="identity.gone", target_id=dora.pk).count() == 1
    assert absence.sweep() == 0
    come()
    assert state(dora) == "active"
    assert absence.sweep() == 0


@pytest.mark.parametrize("with_app", [False, True])
def test_nobody_comes_back_past_the_provider(
    dora: Any, come: Callable[..., Any], with_app: bool
) -> None:
    """Who is gone there may have set a password here while they were not."""
    accounts.reset_password(dora, PASSWORD)
    if with_app:
        set_up_app(dora)
    absence.sweep()
    browser = Client()
    answer = browser.post("/users/sign_in", {"login": "dora", "password": PASSWORD}, follow=True)
    assert "Your account rests: sign in by sso" in answer.content.decode()
    assert state(dora) == "deactivated"
    assert "_auth_user_id" not in browser.session
    if not with_app:
        come()
        browser.post("/users/sign_in", {"login": "dora", "password": PASSWORD})
        assert "_auth_user_id" in browser.session


@pytest.mark.parametrize(
    ("keys", "columns"),
    [
        ({"absent_after": "50d"}, {}),
        ({"absent_after": "0"}, {}),
        ({"absent_after": "30d"}, {"made_user": False}),
        ({"absent_after": "30d"}, {"issuer": "https://before.example"}),
    ],
)
def test_nobody_else_is(
    dora: Any, provider: PlayedProvider, keys: dict[str, str], columns: dict[str, Any]
) -> None:
    provider.settle(**keys)
    Identity.objects.update(**columns)
    assert absence.sweep() == 0
    assert state(dora) == "active"


def test_the_last_administrator_stays(dora: Any) -> None:
    User.objects.update(is_superuser=True)
    absence.sweep()
    assert state(dora) == "active"
