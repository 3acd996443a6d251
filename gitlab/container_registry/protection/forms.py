"""What people choose for a rule."""

from __future__ import annotations

from typing import Any

from django import forms

from gitlab.container_registry.protection.matching import ACTIONS
from gitlab.container_registry.protection.models import Level, RepositoryRule, TagRule
from gitlab.ui.widgets import About, ExplainedRadios

_PLAIN = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
BY_ROLE, IMMUTABLE = "by_role", "immutable"


def _level(label: str) -> forms.TypedChoiceField:
    return forms.TypedChoiceField(
        label=label,
        choices=[
            ("0", "As their role allows"),
            *((str(level.value), _word(level)) for level in Level),
        ],
        initial="0",
        coerce=lambda chosen: int(chosen) or None,
    )


def _word(level: Level) -> str:
    return level.label if level == Level.ADMIN else f"{level.label} and above"


class _RuleForm(forms.Form):
    minimum_access_level_for_push = _level("Who may push")
    minimum_access_level_for_delete = _level("Who may delete")


class RepositoryRuleForm(_RuleForm):
    """Images, and who may push and delete them."""

    pattern = "repository_path_pattern"
    repository_path_pattern = forms.CharField(
        label="Images",
        max_length=255,
        help_text="The whole path; * stands for any characters, a / among them.",
        widget=forms.TextInput(_PLAIN),
    )
    field_order = [pattern]

    @staticmethod
    def initial_of(rule: RepositoryRule) -> dict[str, Any]:
        """What the form shows of a rule that is there."""
        return {"repository_path_pattern": str(rule), **_levels(rule)}


class TagRuleForm(_RuleForm):
    """Tags, and who may push and delete them, or that nobody moves or deletes them."""

    pattern = "tag_name_pattern"
    tag_name_pattern = forms.CharField(
        label="Tags",
        max_length=100,
        help_text="A regular expression (RE2), found anywhere in a tag: ^v.* are those that begin"
        " with v, ^latest$ is that one alone.",
        widget=forms.TextInput(_PLAIN),
    )
    protection = forms.ChoiceField(
        label="Protection",
        choices=[(BY_ROLE, "By role"), (IMMUTABLE, "Immutable")],
        initial=BY_ROLE,
        widget=ExplainedRadios(
            {
                BY_ROLE: About("Some may push or delete them, and others not.", "users"),
                IMMUTABLE: About(
                    "Once such a tag is there, nobody moves or deletes it. Pushing the same image"
                    " again is fine.",
                    "lock",
                ),
            }
        ),
    )
    field_order = [pattern, "protection"]

    @staticmethod
    def initial_of(rule: TagRule) -> dict[str, Any]:
        """What the form shows of a rule that is there."""
        kind = IMMUTABLE if rule.is_immutable else BY_ROLE
        return {"tag_name_pattern": str(rule), "protection": kind, **_levels(rule)}

    def clean(self) -> dict[str, Any]:
        """Without a level where the tags are immutable, with one where they are not."""
        chosen = dict(super().clean() or {})
        levels = [name for name in chosen if name.startswith("minimum_access_level")]
        if chosen.pop("protection", BY_ROLE) == IMMUTABLE:
            return {**chosen, **dict.fromkeys(levels)}
        if len(levels) == len(ACTIONS) and not any(chosen[name] for name in levels):
            self.add_error(None, "Say who may push, or who may delete.")
        return chosen


def _levels(rule: RepositoryRule | TagRule) -> dict[str, Any]:
    return {
        "minimum_access_level_for_push": rule.minimum_access_level_for_push or 0,
        "minimum_access_level_for_delete": rule.minimum_access_level_for_delete or 0,
    }
