"""Mail into the log, where there is no mail server."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from gitlab.mail import services
from gitlab.mail.models import Message

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _log(settings: Any, enqueued: Any) -> None:
    settings.MAIL_ENABLED = True
    settings.EMAIL_BACKEND = "gitlab.mail.log_backend.EmailBackend"


def test_it_stands_in_the_log(alice: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    services.queue(alice, "Hello", "there is a link")
    assert services.send_due() == 1
    assert "mail to alice@example.com: Hello\nthere is a link" in caplog.text


def test_one_to_an_address_is_forgotten(db: None, caplog: pytest.LogCaptureFixture) -> None:
    services.queue_to("dora@example.org", "Hello", "a link that lets in")
    assert services.send_due() == 1
    row = Message.objects.get()
    assert (row.status, row.text, row.user) == ("sent", "", None)


def test_one_that_fails_is_forgotten_too(db: None, settings: Any) -> None:
    services.queue_to("a@b.example\nbcc: x@example.com", "Hello", "a link that lets in")
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
    assert services.send_due() == 0
    assert (Message.objects.get().status, Message.objects.get().text) == ("failed", "")
