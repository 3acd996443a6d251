"""Writing announcements, and knowing which stand above a page. `by` is who does it.

Each process remembers those that are not over for `REMEMBERED` seconds, so that a page costs no
query more; the process that wrote one knows it at once.
"""

from __future__ import annotations

import datetime as dt
import time
from typing import Any

from django.db import transaction
from django.utils import timezone

from gitlab.audit.services import record
from gitlab.broadcast_messages.models import BroadcastMessage
from gitlab.principals import Person
from gitlab.refusals import Forbidden, Invalid, NotFound

REMEMBERED = 30.0
"""Seconds after which a process looks again."""

SHOWN = 5
"""Above one page."""

_known: list[tuple[float, list[BroadcastMessage]]] = []


def current() -> list[BroadcastMessage]:
    """Those that stand above the pages now, the latest first."""
    now = time.monotonic()
    if not _known or now - _known[0][0] > REMEMBERED:
        rows = BroadcastMessage.objects.filter(ends_at__gt=timezone.now()).order_by("ends_at")
        _known[:] = [(now, list(rows[:100]))]
    shown = [row for row in _known[0][1] if row.is_shown]
    return sorted(shown, key=lambda row: row.starts_at, reverse=True)[:SHOWN]


def forget() -> None:
    """Look again for the next page."""
    _known.clear()


def _only_admins(by: Person) -> None:
    if not (by.is_superuser and by.is_active):
        raise Forbidden("Only administrators may do this.")


def _check(message: str, level: str, starts_at: dt.datetime, ends_at: dt.datetime) -> str:
    """The text as it is kept. Raises `Invalid`."""
    text = " ".join(message.split())
    if not 0 < len(text) <= 500:
        raise Invalid({"message": "From 1 to 500 characters."})
    if level not in BroadcastMessage.Level.values:
        raise Invalid({"level": f"One of {', '.join(BroadcastMessage.Level.values)}."})
    if ends_at <= starts_at:
        raise Invalid({"ends_at": "Later than the beginning."})
    return text


@transaction.atomic
def create(
    by: Person,
    *,
    message: str,
    starts_at: dt.datetime,
    ends_at: dt.datetime,
    level: str = BroadcastMessage.Level.INFO,
    dismissable: bool = True,
) -> BroadcastMessage:
    """A new one. Raises `Invalid` for ``message``, ``level``, ``ends_at``; `Forbidden`."""
    _only_admins(by)
    text = _check(message, level, starts_at, ends_at)
    row = BroadcastMessage.objects.create(
        message=text, level=level, starts_at=starts_at, ends_at=ends_at, dismissable=dismissable
    )
    record("broadcast_message.create", by=by, target=row, level=level)
    transaction.on_commit(forget)
    return row


@transaction.atomic
def update(by: Person, row: BroadcastMessage, **given: Any) -> BroadcastMessage:
    """Change what is given. Raises as `create`."""
    _only_admins(by)
    names = ("message", "level", "starts_at", "ends_at")
    wanted = {name: given.get(name, getattr(row, name)) for name in names}
    wanted["message"] = _check(**wanted)
    wanted["dismissable"] = given.get("dismissable", row.dismissable)
    changed = [name for name, value in wanted.items() if getattr(row, name) != value]
    if not changed:
        return row
    if not BroadcastMessage.objects.filter(pk=row.pk).update(**wanted):
        raise NotFound("It is gone.")
    row.refresh_from_db()
    record("broadcast_message.update", by=by, target=row, changed=changed)
    transaction.on_commit(forget)
    return row


@transaction.atomic
def delete(by: Person, row: BroadcastMessage) -> None:
    """Take one away. Twice is as once. Raises `Forbidden`."""
    _only_admins(by)
    record("broadcast_message.delete", by=by, target=row)
    BroadcastMessage.objects.filter(pk=row.pk).delete()
    transaction.on_commit(forget)
