"""Mail as it reaches a mail server, by each of the settings."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gitlab.mail import services
from gitlab.mail.models import Message
from tests.e2e import certificates
from tests.gitlab.mail.smtp_server import Inbox, serving

pytestmark = pytest.mark.django_db


@pytest.fixture
def use(settings: Any, enqueued: Any) -> Callable[..., None]:
    """``use(inbox)``: mail goes there; further settings by name."""

    def change(inbox: Inbox, **more: Any) -> None:
        settings.MAIL_ENABLED = True
        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_HOST, settings.EMAIL_PORT = "localhost", inbox.port
        settings.DEFAULT_FROM_EMAIL = "gitlab@gitlab.test"
        for name, value in more.items():
            setattr(settings, name, value)

    return change


@pytest.fixture
def context(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """What a server shows that this machine trusts."""
    made = certificates.make(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(made.authority))
    found = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    found.load_cert_chain(made.certificate, made.key)
    return found


def test_it_arrives(alice: Any, use: Any) -> None:
    with serving() as inbox:
        use(inbox)
        services.queue(alice, "A token\nends", "soon, “really”\n.\n")
        services.queue(alice, "Another", "too")
        assert services.send_due() == 2
    assert inbox.senders[0].startswith("FROM:<gitlab@gitlab.test>")
    assert inbox.recipients == ["TO:<alice@example.com>"] * 2
    assert "Subject: A token ends" in inbox.messages[0]
    assert "Auto-Submitted: auto-generated" in inbox.messages[0]
    row = Message.objects.order_by("pk")[0]
    assert f"Message-ID: <berth-{row.pk}-" in inbox.messages[0]
    assert inbox.encrypted == [False, False]
    assert inbox.signed_in == []
    assert row.status == "sent"


def test_who_signs_in_there(alice: Any, use: Any) -> None:
    with serving() as inbox:
        use(inbox, EMAIL_HOST_USER="berth", EMAIL_HOST_PASSWORD="a-secret")
        services.queue(alice, "Hello", "there")
        assert services.send_due() == 1
    assert inbox.signed_in == ["berth a-secret"]


def test_tls_from_the_first_byte(alice: Any, use: Any, context: ssl.SSLContext) -> None:
    with serving(context) as inbox:
        use(inbox, EMAIL_USE_SSL=True)
        services.queue(alice, "Hello", "there")
        assert services.send_due() == 1
    assert inbox.encrypted == [True]


def test_starttls(alice: Any, use: Any, context: ssl.SSLContext) -> None:
    with serving(context, starts_later=True) as inbox:
        use(inbox, EMAIL_USE_TLS=True)
        services.queue(alice, "Hello", "there")
        assert services.send_due() == 1
    assert inbox.encrypted == [True]


def test_nothing_goes_in_the_clear_where_tls_is_wanted(alice: Any, use: Any) -> None:
    with serving() as inbox:
        use(inbox, EMAIL_USE_TLS=True)
        services.queue(alice, "Hello", "there")
        assert services.send_due() == 0
    assert inbox.messages == []
    assert Message.objects.get().status == "waiting"


def test_a_server_that_nobody_trusts(
    alice: Any, use: Any, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with serving(context) as inbox:
        use(inbox, EMAIL_USE_SSL=True)
        services.queue(alice, "Hello", "there")
        assert services.send_due() == 0
    assert inbox.messages == []


def test_an_address_that_is_refused_keeps_nobody_else_waiting(
    alice: Any, bob: Any, use: Any
) -> None:
    with serving() as inbox:
        use(inbox)
        inbox.refused = "550 no such mailbox"
        services.queue(alice, "Hello", "there")
        services.queue(bob, "Hello", "there")
        assert services.send_due() == 0
    assert len(inbox.recipients) == 2
    assert {row.attempts for row in Message.objects.all()} == {1}
    assert "550" in Message.objects.all()[0].failure_reason
