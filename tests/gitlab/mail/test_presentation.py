"""A mail's text as HTML: nothing more than the text, and no links but our own."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail

from gitlab.mail import services
from gitlab.mail.presentation import Paragraph, html_of, paragraphs

pytestmark = pytest.mark.engineless

OURS = "https://gitlab.test"


@pytest.fixture(autouse=True)
def _address(settings: Any) -> None:
    settings.EXTERNAL_URL = OURS


def test_paragraphs_and_links() -> None:
    link = f"{OURS}/-/invitations/abc"
    text = f"\nHello,\nyou are invited.\n\n{link}\n \n\nBye.\n"
    assert paragraphs(text) == [
        Paragraph("Hello,\nyou are invited."),
        Paragraph(link, link),
        Paragraph("Bye."),
    ]
    page = html_of("Invited", text)
    assert f'<a href="{link}"' in page
    assert "Hello,<br>you are invited." in page


@pytest.mark.parametrize(
    "text",
    [
        "https://evil.test/",
        f"{OURS}.evil.test/",
        f"{OURS}@evil.test/",
        f"see {OURS}/acme",
        f"{OURS}/acme https://evil.test",
        "javascript:alert(1)",
    ],
)
def test_nothing_else_becomes_a_link(text: str) -> None:
    page = html_of("x", text)
    assert "<a " not in page
    assert text in page


def test_markup_is_text() -> None:
    page = html_of("<b>x</b>", f'<script>alert(1)</script>\n\n{OURS}/"onclick="x')
    assert "<script>" not in page
    assert "<b>" not in page
    assert '"onclick' not in page


@pytest.mark.django_db
def test_a_mail_has_both(alice: Any, settings: Any, enqueued: Any) -> None:
    settings.MAIL_ENABLED = True
    services.queue(alice, "Hello", "there & back")
    services.send_due()
    message = mail.outbox[0].message()
    assert message.get_content_type() == "multipart/alternative"
    plain, html = message.get_payload()
    assert (plain.get_content_type(), html.get_content_type()) == ("text/plain", "text/html")
    assert "there & back" in plain.get_payload(decode=True).decode()
    assert "there &amp; back" in html.get_payload(decode=True).decode()
