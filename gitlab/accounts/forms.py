"""What people type about themselves. The rules are the services'."""

from __future__ import annotations

from typing import Any

from django import forms
from django.utils.functional import lazy

from gitlab.accounts import passwords

_RULES = lazy(passwords.rules, str)()
_NAME_ATTRS = {"autocapitalize": "none", "spellcheck": "false"}


class SignInForm(forms.Form):
    """A name or an address, and a password."""

    login = forms.CharField(
        label="User name or e-mail",
        max_length=255,
        widget=forms.TextInput({"autocomplete": "username", "autofocus": True, **_NAME_ATTRS}),
    )
    password = forms.CharField(
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
    )

    def focus_password(self) -> None:
        """The name is there already, and more often right than not."""
        if self.cleaned_data.get("login"):
            self.fields["login"].widget.attrs.pop("autofocus")
            self.fields["password"].widget.attrs["autofocus"] = True


class SignUpForm(forms.Form):
    """A new account."""

    name = forms.CharField(
        label="Your name",
        max_length=255,
        widget=forms.TextInput({"autocomplete": "name", "autofocus": True}),
    )
    username = forms.CharField(
        label="User name",
        max_length=150,
        help_text="The first part of your images' names: lower-case letters, digits, - _ and .",
        widget=forms.TextInput({"autocomplete": "username", **_NAME_ATTRS}),
    )
    email = forms.EmailField(
        label="E-mail", widget=forms.EmailInput({"autocomplete": "email", **_NAME_ATTRS})
    )
    password = forms.CharField(
        strip=False,
        max_length=4096,
        help_text=_RULES,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )


class ProfileForm(forms.Form):
    """How others see one."""

    name = forms.CharField(max_length=255, widget=forms.TextInput({"autocomplete": "name"}))
    email = forms.EmailField(
        label="E-mail",
        help_text="You can sign in with it too. Others don't see it.",
        widget=forms.EmailInput({"autocomplete": "email", **_NAME_ATTRS}),
    )


class PasswordForm(forms.Form):
    """The old password once, the new one twice."""

    current_password = forms.CharField(
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput({"autocomplete": "current-password"}),
    )
    new_password = forms.CharField(
        strip=False,
        max_length=4096,
        help_text=_RULES,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )
    repeated = forms.CharField(
        label="New password again",
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )

    def clean(self) -> dict[str, Any]:
        """The two new ones are the same."""
        data = super().clean() or {}
        if {"new_password", "repeated"} <= set(data) and data["new_password"] != data["repeated"]:
            self.add_error("repeated", "This is not the same as the new password above.")
        return data
