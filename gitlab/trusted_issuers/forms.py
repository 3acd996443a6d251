"""What people say of a trust."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.conf import settings
from django.utils import timezone

from gitlab.trusted_issuers import conditions
from gitlab.trusted_issuers.id_tokens import MAX_LENGTH
from gitlab.trusted_issuers.models import TrustedIssuer
from gitlab.ui.widgets import About, ExplainedCheckboxes

OFFERED = [("pull", "Pull images"), ("push", "Push images"), ("delete", "Delete images")]
SHORT = {"pull": "Pull", "push": "Push", "delete": "Delete"}
"""The same for a table."""

_ABOUT = {
    "pull": About("docker pull, of every image that it reaches.", "download"),
    "push": About(
        "docker push, moving tags included. docker also needs to pull for that.", "upload"
    ),
    "delete": About("Tags and manifests, through the registry. Few pipelines need it.", "trash-2"),
}
_PLAIN = {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}


class TrustForm(forms.Form):
    """A trust, new or as it is."""

    name = forms.CharField(
        max_length=255,
        help_text="Which pipeline it is.",
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    issuer = forms.CharField(
        max_length=255,
        help_text="Exactly as it stands in the ID tokens, as iss.",
        widget=forms.TextInput(
            {"placeholder": "https://token.actions.githubusercontent.com", **_PLAIN}
        ),
    )
    conditions = forms.CharField(
        max_length=12_000,
        label="Whose tokens",
        help_text="One claim a line, claim = value; * stands for any characters. All have to be met.",
        widget=forms.Textarea({"rows": 4, **_PLAIN}),
    )
    actions = forms.MultipleChoiceField(
        label="What they may do",
        choices=OFFERED,
        initial=["pull", "push"],
        error_messages={"required": "Choose at least one."},
        widget=ExplainedCheckboxes(_ABOUT),
    )
    images = forms.CharField(
        max_length=255,
        required=False,
        help_text="What follows the path, web or web/*. Empty: all of them.",
        widget=forms.TextInput(_PLAIN),
    )
    audience = forms.CharField(max_length=255, required=False, widget=forms.TextInput(_PLAIN))
    expires_at = forms.DateField(
        label="Expires on",
        required=False,
        help_text="Refused from the beginning of this day (UTC). Empty: it holds until revoked.",
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
    )

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        tomorrow = timezone.now().date() + dt.timedelta(days=1)
        self.fields["expires_at"].widget.attrs["min"] = tomorrow.isoformat()
        self.fields[
            "audience"
        ].help_text = f"Whom an ID token has to be for. Empty: {settings.EXTERNAL_URL}"

    def terms(self) -> dict[str, Any]:
        """The arguments of the service. Raises `Invalid` for ``conditions``."""
        given = dict(self.cleaned_data)
        return given | {"conditions": conditions.parse(given["conditions"])}


def initial(trust: TrustedIssuer) -> dict[str, Any]:
    """What a form shows of a trust as it is."""
    found = {name: getattr(trust, name) for name in TrustForm.base_fields}
    return found | {"conditions": conditions.printed(trust.conditions)}


class TryForm(forms.Form):
    """An ID token to hold against a trust."""

    id_token = forms.CharField(
        label="ID token",
        max_length=MAX_LENGTH,
        help_text="It is not used up, and kept nowhere.",
        widget=forms.Textarea({"rows": 4, **_PLAIN}),
    )
