"""What people choose for a new token."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from django import forms
from django.utils import timezone

from gitlab.access_tokens import checks
from gitlab.access_tokens.models import Token
from gitlab.namespaces.models import AccessLevel
from gitlab.ui.widgets import About, ExplainedCheckboxes

DEFAULT_DAYS = 90

# What is offered, in people's words. The other scopes can be made through the API.
OFFERED = [
    ("read_registry", "Pull images"),
    ("write_registry", "Push images"),
    ("read_api", "Read everything"),
    ("api", "Everything you may do"),
]
SHORT = {
    "read_registry": "Pull",
    "write_registry": "Push",
    "read_api": "Read all",
    "api": "Everything",
}
"""The same for a table."""
ABOUT = {
    "read_registry": About(
        "docker pull, and looking at tags, of every project that you may pull from.", "download"
    ),
    "write_registry": About(
        "docker push to every project that you may push to. docker also needs to pull for that.",
        "upload",
    ),
    "read_api": About(
        "The API for reading: projects, members, images. For dashboards and reports.", "eye"
    ),
    "api": About(
        "The whole API and every image, deleting included. As good as your password.",
        "shield-alert",
    ),
}


def _scopes(
    choices: Sequence[tuple[str, str]], about: Mapping[str, About], *initial: str
) -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label="What it may do",
        choices=choices,
        initial=initial,
        error_messages={"required": "Choose at least one."},
        widget=ExplainedCheckboxes(about),
    )


def _day(days: int) -> str:
    return (timezone.now().date() + dt.timedelta(days=days)).isoformat()


def _proposed_day() -> str:
    last = checks.last_day()
    return min(_day(DEFAULT_DAYS), last.isoformat()) if last else _day(DEFAULT_DAYS)


def _limit(field: forms.Field, *, lasts_for_ever: bool = False) -> None:
    """Let a browser offer the days that are allowed, and say which those are."""
    field.widget.attrs["min"] = _day(1)
    last = None if lasts_for_ever else checks.last_day()
    if last is not None:
        field.widget.attrs["max"] = last.isoformat()
        field.help_text = f"Refused from the beginning of this day (UTC), at the latest {last}."


class NewTokenForm(forms.Form):
    """What every kind of token asks for."""

    lasts_for_ever = False
    """Whether the setting for the longest lifetime leaves it alone."""

    name = forms.CharField(
        max_length=255,
        help_text="What uses it, and where: you will want to know when you take it back.",
        widget=forms.TextInput({"autofocus": True, "autocomplete": "off"}),
    )
    expires_at = forms.DateField(
        label="Expires on",
        required=False,
        initial=_proposed_day,
        help_text="Refused from the beginning of this day (UTC). Empty: it works until revoked.",
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        _limit(self.fields["expires_at"], lasts_for_ever=self.lasts_for_ever)


class TokenForm(NewTokenForm):
    """A new personal access token."""

    scopes = _scopes(OFFERED, ABOUT, "read_registry", "write_registry")

    field_order = ["name", "scopes", "expires_at"]


class DeployTokenForm(NewTokenForm):
    """A new deploy token of a project or group."""

    lasts_for_ever = True

    username = forms.CharField(
        label="User name",
        max_length=255,
        required=False,
        help_text="What it signs in as. Empty: gitlab+deploy-token- and a number.",
        widget=forms.TextInput(
            {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )
    scopes = _scopes(
        OFFERED[:2],
        {
            "read_registry": About("docker pull, of every image that it reaches.", "download"),
            "write_registry": About(
                "docker push to projects that are there. docker also needs to pull for that.",
                "upload",
            ),
        },
        "read_registry",
    )

    field_order = ["name", "username", "scopes", "expires_at"]


_BY_ROLE = {
    "read_registry": About("docker pull, of every image that its role reaches.", "download"),
    "write_registry": About(
        "docker push, where its role may. docker also needs to pull for that.", "upload"
    ),
    "read_api": ABOUT["read_api"],
    "api": About("The whole API and every image, deleting included.", "shield-alert"),
}


class ResourceTokenForm(NewTokenForm):
    """A new access token of a project or group. `highest` is the highest role that may be given."""

    scopes = _scopes(
        [*OFFERED[:3], ("api", "Everything that its role may do")], _BY_ROLE, "read_registry"
    )

    field_order = ["name", "access_level", "scopes", "expires_at"]

    def __init__(self, highest: int, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        choices = [(value, label) for value, label in AccessLevel.choices if value <= highest]
        self.fields["access_level"] = forms.TypedChoiceField(
            label="Role", choices=choices, coerce=int, initial=AccessLevel.DEVELOPER
        )
        self.order_fields(self.field_order)


class RotateForm(forms.Form):
    """How long the next one lasts.

    One that has ended is refused here: who sends the form twice has no stolen token.
    """

    expires_at = forms.DateField(
        label="Expires on",
        required=False,
        initial=_proposed_day,
        help_text="Refused from the beginning of this day (UTC). Empty: in a week.",
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, token: Token, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self.token = token
        _limit(self.fields["expires_at"])

    def clean(self) -> dict[str, Any]:
        """Only a usable token is rotated."""
        if not self.token.is_usable:
            raise forms.ValidationError("It is revoked, rotated or expired already.")
        return self.cleaned_data
