"""An event in a line of a table: what it says besides who, what and when."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gitlab.audit.models import AuditEvent

LONGEST = 120
"""Characters of one value; the rest is in the export."""

_TONES = {
    "delete": "bad",
    "revoke": "bad",
    "block": "bad",
    "grant_admin": "warn",
    "revoke_admin": "warn",
    "fail_sign_in": "warn",
    "reuse": "bad",
}

_NAMES = {"tags", "digests", "scopes", "names"}
"""Details that are several of a kind; other pairs are a change, from and to."""


@dataclass(frozen=True)
class Shown:
    """An event, and its details as pairs of a name and a text."""

    event: AuditEvent
    details: list[tuple[str, str]]
    tone: str

    @property
    def who(self) -> str:
        """Who did it. Who could not sign in is nobody that is known."""
        unknown = "somebody" if self.event.action == "user.fail_sign_in" else "Berth"
        return self.event.actor_name or unknown


def shown(event: AuditEvent) -> Shown:
    """As a page shows it."""
    details = event.details if isinstance(event.details, dict) else {}
    pairs = [
        (name.replace("_", " "), _text(value, is_names=name in _NAMES))
        for name, value in list(details.items())[:12]
    ]
    verb = event.action.partition(".")[2]
    return Shown(event, [pair for pair in pairs if pair[1]], _TONES.get(verb, ""))


def _text(value: Any, *, is_names: bool) -> str:
    """A value; of one that changed, from and to."""
    if isinstance(value, list) and len(value) == 2 and not is_names:
        text = f"{_plain(value[0])} → {_plain(value[1])}"
    elif isinstance(value, list):
        text = ", ".join(map(_plain, value[:5])) + (
            f" and {len(value) - 5} more" if value[5:] else ""
        )
    else:
        text = _plain(value) if value not in (None, "") else ""
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _plain(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)
