"""How pages show beside a tag what protects it, and from whom."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from django.utils.html import format_html
from django.utils.safestring import SafeString

from gitlab.container_registry.protection.matching import ACTIONS, Rule, TagProtections
from gitlab.container_registry.protection.models import Level

_SHOWN = 24
"""Characters of a pattern that a badge has room for."""


class Mark(NamedTuple):
    """A badge: its text, `before` and `after` which a phone has no room for, its icon, and a
    sentence that names each rule with whose it is.
    """

    before: str
    text: str
    after: str
    icon: str
    title: str

    @property
    def label(self) -> str:
        """All of the text."""
        return f"{self.before}{self.text}{self.after}"

    @property
    def html(self) -> SafeString:
        """All of the text, with what a phone leaves out marked as such."""
        wide = '<span class="wide-only">{}</span>'
        before, after = (
            format_html(wide, part) if part else "" for part in (self.before, self.after)
        )
        return format_html("{}{}{}", before, self.text, after)


def marks_of(protections: TagProtections, tag: str) -> list[Mark]:
    """What protects a tag: that it is immutable, and who may push and delete it."""
    found = protections.of(tag) if protections else []
    marks = []
    immutable = [rule for rule in found if rule.is_immutable]
    if immutable:
        pattern = immutable[0].pattern
        shown = pattern if len(pattern) <= _SHOWN else f"{pattern[: _SHOWN - 1]}…"
        title = f"Never moves and never goes: {_rules(immutable)}"
        marks.append(Mark("", "immutable", f" · {shown}", "lock", title))
    limits = [rule for rule in found if not rule.is_immutable]
    by_level: dict[int, list[str]] = {}
    for action in ACTIONS:
        level = max((rule.level_for(action) or 0 for rule in limits), default=0)
        if level:
            by_level.setdefault(level, []).append(action)
    for level, actions in by_level.items():
        whom = Level(level).label.lower()
        marks.append(Mark(f"{', '.join(actions)}: ", whom, "", "shield", f"By {_rules(limits)}"))
    return marks


def _rules(rules: Sequence[Rule]) -> str:
    return ", ".join(f'rule "{rule.pattern}" of {rule.of}' for rule in rules)
