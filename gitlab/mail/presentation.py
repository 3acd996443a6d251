"""A mail's text as HTML: one template for all, and nothing in it that is not in the text."""

from __future__ import annotations

import re
from typing import NamedTuple

from django.conf import settings
from django.template.loader import render_to_string

_BETWEEN = re.compile(r"\n[ \t]*\n\s*")


class Paragraph(NamedTuple):
    """Lines that stand together. `link` is the text where all of it is one of our own pages."""

    text: str
    link: str = ""


def paragraphs(text: str) -> list[Paragraph]:
    """The paragraphs of a text, between empty lines."""
    return [Paragraph(one, _own_page(one)) for one in _BETWEEN.split(text.strip()) if one]


def _own_page(text: str) -> str:
    """The text, where it is an address below ours and nothing else.

    Others become no links: a person's name stands in mails too, and may look like an address.
    """
    is_own = text.startswith(f"{settings.EXTERNAL_URL}/") and not re.search(r"\s", text)
    return text if is_own else ""


def html_of(subject: str, text: str) -> str:
    """The page that mail programs show. Markup in the text is text."""
    return render_to_string(
        "mail/message.html", {"subject": subject, "paragraphs": paragraphs(text)}
    )
