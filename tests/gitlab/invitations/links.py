"""The links that people get by mail."""

from __future__ import annotations

import re

from gitlab.mail.models import Message

GUEST = "dora@example.org"
"""Somebody who has no account."""


def link() -> str:
    """The path of the link in the last mail."""
    text = Message.objects.latest("pk").text
    found = re.search(r"http://[^/\s]+(/-/invites/\S+)", text)
    assert found, text
    return found[1]


def token() -> str:
    """What the link lets in by."""
    return link().rpartition("/")[2]
