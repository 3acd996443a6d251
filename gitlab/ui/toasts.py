"""Short messages after an action, with an Undo where there is one.

They travel through ``django.contrib.messages``, so they survive the redirect; a message that was
added the ordinary way is shown as a toast too.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.contrib import messages
from django.contrib.messages.storage.base import Message
from django.http import HttpRequest

_LEVELS = {
    "good": messages.SUCCESS,
    "info": messages.INFO,
    "warn": messages.WARNING,
    "bad": messages.ERROR,
}
_TONES = {level: tone for tone, level in _LEVELS.items()}
_MARK = "toast:"


@dataclass(frozen=True)
class Toast:
    """What the template needs of one message."""

    text: str
    tone: str = "info"
    undo_url: str = ""
    undo_label: str = "Undo"
    undo_fields: Mapping[str, str] = field(default_factory=dict)


def add_toast(
    request: HttpRequest,
    text: str,
    tone: str = "good",
    *,
    undo_url: str = "",
    undo_label: str = "Undo",
    undo_fields: Mapping[str, str] | None = None,
) -> None:
    """Show ``text`` on the next page; with ``undo_url``, a button that POSTs there."""
    tags = ""
    if undo_url:
        undo = {"url": undo_url, "label": undo_label, "fields": dict(undo_fields or {})}
        tags = _MARK + json.dumps(undo, separators=(",", ":"))
    messages.add_message(request, _LEVELS[tone], text, extra_tags=tags)


def toast_of(message: Message) -> Toast:
    """The toast that a message stands for."""
    tone = _TONES.get(message.level, "info")
    tags = message.extra_tags or ""
    if not tags.startswith(_MARK):
        return Toast(str(message.message), tone)
    undo = json.loads(tags.removeprefix(_MARK))
    return Toast(str(message.message), tone, undo["url"], undo["label"], undo["fields"])
