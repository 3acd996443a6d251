"""What is typed by who has forgotten a password."""

from __future__ import annotations

from allauth.account.forms import ResetPasswordKeyForm
from django import forms

from gitlab.accounts import passwords


class AskForm(forms.Form):
    """The address that the link goes to."""

    email = forms.EmailField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput(
            {"autocomplete": "email", "autofocus": True, "autocapitalize": "none"}
        ),
    )


class NewPasswordForm(ResetPasswordKeyForm):
    """The new password, twice."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)
        for name, label in (("password1", "New password"), ("password2", "New password again")):
            self.fields[name].label = label
            self.fields[name].max_length = 4096
            self.fields[name].widget.attrs.pop("placeholder", None)
        self.fields["password1"].help_text = passwords.rules()
        self.fields["password1"].widget.attrs["autofocus"] = True
