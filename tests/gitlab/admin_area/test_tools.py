"""The console's test of mail, and GitLab's application settings."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.core import mail
from django.test import Client

from gitlab.mail import trial
from gitlab.refusals import Conflict, Forbidden
from tests.gitlab.mail.smtp_server import serving

pytestmark = pytest.mark.django_db

MAIL = "/admin/mail/"


@pytest.fixture
def use(settings: Any) -> Any:
    def change(port: int) -> None:
        settings.MAIL_ENABLED = True
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "localhost", port
        settings.DEFAULT_FROM_EMAIL = "Berth <gitlab@gitlab.test>"

    return change


def test_what_the_server_answers(console: Client, use: Any, root: Any) -> None:
    with serving() as inbox:
        use(inbox.port)
        page = console.post(MAIL).content.decode()
    assert "The mail server took it" in page
    assert "250 OK" in page
    assert inbox.recipients == [f"TO:<{root.email}>"]
    assert inbox.senders[0].startswith("FROM:<gitlab@gitlab.test>")
    assert "Subject: A test of Berth's mail" in inbox.messages[0]


def test_what_the_server_refuses(console: Client, use: Any) -> None:
    with serving() as inbox:
        inbox.refused = "550 <b>nobody</b> of this name"
        use(inbox.port)
        page = console.post(MAIL).content.decode()
    assert "It was not sent" in page
    assert "550 &lt;b&gt;nobody&lt;/b&gt; of this name" in page
    assert not inbox.messages


def test_nobody_answers(console: Client, use: Any) -> None:
    with serving() as inbox:
        pass
    use(inbox.port)
    assert "Nobody answers" in console.post(MAIL).content.decode()


def test_by_another_backend(root: Any, settings: Any) -> None:
    settings.MAIL_ENABLED = True
    assert trial.send(root.email, by=root).is_sent
    assert [one.to for one in mail.outbox] == [[root.email]]


def test_where_mail_is_off(console: Client, root: Any, settings: Any) -> None:
    settings.MAIL_ENABLED = False
    for page in (console.get(MAIL), console.post(MAIL)):
        assert "Mail is off" in page.content.decode()
    with pytest.raises(Conflict):
        trial.send(root.email, by=root)


def test_they_are_for_administrators(alice: Any) -> None:
    client = Client()
    client.force_login(alice)
    for address in (MAIL, "/admin/settings/"):
        assert client.get(address, follow=True).status_code == 403
    assert client.post(MAIL, follow=True).status_code == 403
    with pytest.raises(Forbidden):
        trial.send(alice.email, by=alice)


def test_the_settings(console: Client, settings: Any) -> None:
    settings.SIGNUP_ENABLED = True
    settings.SIGNUP_DOMAINS = ["example.com"]
    settings.MAX_TOKEN_LIFETIME = dt.timedelta(0)
    page = console.get("/admin/settings/").content.decode()
    assert "signup_enabled" in page
    assert "<code>true</code>" in page
    assert "berth.undo_window" in page
    assert "[&quot;example.com&quot;]" in page
    assert "no limit" in page
    assert f"<code>{settings.TOKENS_LIFETIME // 60}</code>" in page
