"""Tokens that end soon: who is told, once, and what the pages show."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core import mail
from django.test import Client
from django.utils import timezone

from gitlab.access_tokens import expiry, services
from gitlab.access_tokens.models import DeployToken, PersonalAccessToken
from gitlab.mail import services as mails
from gitlab.mail.models import Message

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _on(settings: Any, enqueued: Any) -> None:
    settings.MAIL_ENABLED = True
    settings.EXTERNAL_URL = "https://gitlab.test"


@pytest.fixture
def app(alice: Any, bob: Any, carol: Any, make_person: Any, make_project: Any) -> Any:
    return make_project(
        "acme/app", owner=alice, maintainers=[make_person("mona")], developers=[bob]
    )


def day(days: int) -> dt.date:
    return timezone.now().date() + dt.timedelta(days=days)


def ending(user: Any, name: str, days: int) -> Any:
    return services.create(user, name=name, scopes=["api"], expires_at=day(days))[0]


def said() -> list[tuple[str, str]]:
    """To whom, and what about, of all that has been sent now."""
    mails.send_due()
    return sorted((each.to[0].partition("@")[0], each.subject) for each in mail.outbox)


def test_a_person_is_told_of_their_own_once(bob: Any) -> None:
    token = ending(bob, "ci", 7)
    ending(bob, "far", 8)
    assert expiry.warn() == 1
    assert expiry.warn() == 0
    assert said() == [("bob", f"The access token ci ends on {day(7).isoformat()}")]
    text = mail.outbox[0].body
    assert f"ci: refused from {day(7).isoformat()} on" in text
    assert "https://gitlab.test/-/user_settings/personal_access_tokens" in text
    assert "&quot;" not in text
    token.refresh_from_db()
    assert token.warned_at is not None


def test_several_stand_in_one_mail(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "LISTED", 2)
    for number in range(4):
        ending(bob, f"“<{number}>”", number + 1)
    assert expiry.warn() == 4
    assert said() == [("bob", "4 access tokens end within 4 days")]
    text = mail.outbox[0].body
    assert "“<0>”" in text
    assert "“<3>”" not in text
    assert "and 2 more" in text


def test_who_is_told_of_those_of_a_project(
    app: Any, make_access_token: Any, make_deploy_token: Any
) -> None:
    make_access_token(app, name="robot", expires_at=day(3))
    make_deploy_token(app, expires_at=day(2))
    assert expiry.warn() == 2
    access = f"The access token robot of acme/app ends on {day(3).isoformat()}"
    deploy = f"The deploy token test of acme/app ends on {day(2).isoformat()}"
    assert said() == [("alice", access), ("alice", deploy), ("mona", access), ("mona", deploy)]
    urls = {line for each in mail.outbox for line in each.body.splitlines() if "https://" in line}
    assert urls == {
        expiry.page_of(PersonalAccessToken.objects.get(name="robot")),
        expiry.page_of(DeployToken.objects.get()),
    }
    for url in urls:
        assert url.startswith("https://gitlab.test/acme/app/")


def test_who_is_told_of_those_of_a_group(app: Any, make_deploy_token: Any, carol: Any) -> None:
    app.namespace.members.create(user=carol, access_level=40)
    make_deploy_token(app.namespace, expires_at=day(2))
    assert expiry.warn() == 1
    assert said() == [("alice", f"The deploy token test of acme ends on {day(2).isoformat()}")]


def test_who_is_not_told(app: Any, bob: Any, make_deploy_token: Any) -> None:
    services.revoke(bob, ending(bob, "revoked", 2))
    rotated = ending(bob, "rotated", 2)
    services.rotate(bob, rotated, expires_at=day(30))
    gone = ending(bob, "expired", 2)
    PersonalAccessToken.objects.filter(pk=gone.pk).update(expires_at=day(0))
    make_deploy_token(app)
    assert expiry.warn() == 0
    assert said() == []


def test_without_mail_it_is_told_later(bob: Any, settings: Any) -> None:
    ending(bob, "ci", 3)
    settings.MAIL_ENABLED = False
    assert expiry.warn() == 0
    settings.MAIL_ENABLED = True
    assert expiry.warn() == 1


def test_the_days_are_a_setting(bob: Any, settings: Any) -> None:
    token = ending(bob, "ci", 10)
    assert not expiry.ends_soon(token)
    assert expiry.warn() == 0
    settings.TOKEN_EXPIRY_WARNING = dt.timedelta(days=10)
    assert expiry.ends_soon(token)
    settings.TOKEN_EXPIRY_WARNING = dt.timedelta(0)
    assert expiry.warn() == 0
    assert not expiry.ends_soon(ending(bob, "soon", 1))
    settings.TOKEN_EXPIRY_WARNING = dt.timedelta(days=10)
    assert expiry.warn() == 2


def test_in_batches(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "AT_ONCE", 2)
    for number in range(3):
        ending(bob, f"{number}", number + 1)
    assert [expiry.warn(), expiry.warn(), expiry.warn()] == [2, 1, 0]


def test_the_row_and_the_mail_are_one(bob: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What could not be written down is told by the next run."""
    token = ending(bob, "ci", 3)

    def fail(*arguments: Any) -> None:
        raise RuntimeError("the process dies")

    with monkeypatch.context() as broken:
        broken.setattr(mails, "queue", fail)
        with pytest.raises(RuntimeError):
            expiry.warn()
    token.refresh_from_db()
    assert token.warned_at is None
    assert expiry.warn() == 1


def test_the_page_marks_it(bob: Any) -> None:
    ending(bob, "ci", 7)
    browser = Client()
    browser.force_login(bob)
    page = browser.get("/-/user_settings/personal_access_tokens").content.decode()
    assert "Soon" in page
    PersonalAccessToken.objects.update(expires_at=day(8))
    page = browser.get("/-/user_settings/personal_access_tokens").content.decode()
    assert "Soon" not in page


def test_reuse_is_told_too(app: Any, bob: Any, make_access_token: Any) -> None:
    first, old = services.create(bob, name="ci", scopes=["api"])
    services.rotate(bob, first)
    for _ in range(2):
        Client(REMOTE_ADDR="192.0.2.7").get("/api/v4/user", HTTP_PRIVATE_TOKEN=old)
    assert said() == [("bob", "The access token ci was used after its rotation")]
    text = mail.outbox[0].body
    assert "from 192.0.2.7 after" in text
    assert "1 still worked" in text
    mail.outbox.clear()
    first, old = make_access_token(app, name="robot")
    services.replace(first.user, first)
    Client(REMOTE_ADDR="192.0.2.7").get("/api/v4/user", HTTP_PRIVATE_TOKEN=old)
    assert [name for name, _ in said()] == ["alice", "mona"]
    assert old not in "".join(each.body for each in mail.outbox)
    assert Message.objects.count() == 3
