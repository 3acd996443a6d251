"""The form of a cleanup policy: when it runs, and its rules, one more than there are."""

from __future__ import annotations

from typing import Any

from django import forms
from django.core.exceptions import ValidationError

from gitlab.container_registry.cleanup import services
from gitlab.container_registry.cleanup.models import Cadence, CleanupPolicy
from gitlab.container_registry.cleanup.policy import MAX_KEPT, MAX_RULES, Rule
from gitlab.container_registry.cleanup.services import Owner
from gitlab.container_registry.tag_criteria import MAX_PATTERN
from gitlab.principals import Person
from gitlab.ui import form_errors

INHERIT = "inherit"
"""The name of the button by which one's own policy goes."""

_AGE = {"placeholder": "90d", "autocomplete": "off", "spellcheck": "false"}


def _pattern(label: str, help_text: str, **options: Any) -> forms.CharField:
    return forms.CharField(
        label=label,
        max_length=MAX_PATTERN,
        required=False,
        help_text=help_text,
        widget=forms.TextInput(
            {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
        **options,
    )


class RuleForm(forms.Form):
    """One rule. Without a pattern it is none."""

    name_regex_delete = _pattern(
        "Tags that this rule judges",
        "An RE2 pattern of the whole name: .* is all tags, dev-.* those that begin with dev-."
        " Empty: no rule.",
    )
    name_regex_keep = _pattern("Of these, always keep", "Another pattern, production-.* say.")
    keep_n = forms.IntegerField(
        label="Keep the newest",
        min_value=0,
        max_value=MAX_KEPT,
        required=False,
        help_text="So many tags of each image.",
    )
    older_than = forms.CharField(
        label="Keep younger than",
        max_length=40,
        required=False,
        help_text="A number and a unit: 12h, 7d, 3 months.",
        widget=forms.TextInput(_AGE),
    )
    not_pulled_for = forms.CharField(
        label="Keep what was pulled within",
        max_length=40,
        required=False,
        help_text="Where the registry counts pulls. Until it has for so long, nothing goes.",
        widget=forms.TextInput(_AGE),
    )
    never_pulled = forms.BooleanField(
        label="Delete only what nothing has pulled since its push", required=False
    )

    untagged = forms.BooleanField(
        label="It is a rule for images without a tag",
        required=False,
        help_text="Then it has an age alone. For projects that keep such images: elsewhere they go"
        " by themselves.",
    )

    @property
    def rule(self) -> dict[str, Any] | None:
        """What the service is told; None for a rule that says nothing."""
        given = self.cleaned_data
        return dict(given) if given.get("name_regex_delete") or given.get("untagged") else None

    def clean(self) -> dict[str, Any]:
        """What was typed. What a rule refuses stands at its field."""
        given: dict[str, Any] = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                Rule.read(given)
            except ValidationError as error:
                form_errors.show(self, error)
        return given


_Rules = forms.formset_factory(
    RuleForm, extra=1, max_num=MAX_RULES, validate_max=True, absolute_max=MAX_RULES
)


class PolicyForm(forms.Form):
    """A policy as it holds, to be changed. `said` is what came of it."""

    enabled = forms.BooleanField(
        label="Clean up by itself",
        required=False,
        help_text="Off, a cleanup runs only when a maintainer plans one.",
    )
    cadence = forms.ChoiceField(label="How often", choices=Cadence.choices)
    requires_approval = forms.BooleanField(
        label="Wait for approval",
        required=False,
        help_text="What is planned waits until a maintainer has seen it. Else it runs at once.",
    )

    def __init__(self, policy: CleanupPolicy, data: Any = None) -> None:
        names = ("enabled", "cadence", "requires_approval")
        initial = {name: getattr(policy, name) for name in names}
        super().__init__(data, initial=initial)
        self.rules = _Rules(data, prefix="rules", initial=policy.rules)
        self.said = ""

    def save(self, by: Person, owner: Owner) -> bool:
        """Whether what was sent is taken: saved, or with `INHERIT` one's own policy removed."""
        if INHERIT in self.data:
            services.remove_policy(by, owner)
            self.said = "What is above holds again."
            return True
        if not (self.is_valid() and self.rules.is_valid()):
            return False
        rules = [form.rule for form in self.rules.forms if form.rule]
        try:
            services.save_policy(by, owner, **self.cleaned_data, rules=rules)
        except ValidationError as error:
            form_errors.show(self, error)
            return False
        self.said = "The policy is saved."
        return True
