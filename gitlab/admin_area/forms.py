"""What administrators type about people. The rules are the services'."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings

from gitlab.accounts.models import User

_NAME_ATTRS = {"autocapitalize": "none", "spellcheck": "false", "autocomplete": "off"}


class PersonForm(forms.Form):
    """Somebody who is there."""

    name = forms.CharField(max_length=255)
    email = forms.EmailField(label="E-mail", widget=forms.EmailInput(_NAME_ATTRS))
    is_superuser = forms.BooleanField(
        label="Administrator",
        required=False,
        help_text="May do everything, here and in all groups.",
    )
    external = forms.BooleanField(
        required=False,
        help_text="Sees what they are a member of and what is public, and makes nothing new.",
    )
    password = forms.CharField(
        label="New password",
        required=False,
        strip=False,
        max_length=4096,
        help_text="Left empty it stays as it is. With a new one their sessions end.",
        widget=forms.PasswordInput({"autocomplete": "new-password"}),
    )

    @classmethod
    def of(cls, user: User, data: Any = None) -> PersonForm:
        """The form with what is known of somebody in it."""
        names = ("name", "email", "is_superuser", "external")
        return cls(data, initial={name: getattr(user, name) for name in names})

    def given(self) -> dict[str, Any]:
        """What `accounts.services.administer` takes."""
        found = dict(self.cleaned_data)
        found["password"] = found["password"] or None
        return found


class NewPersonForm(PersonForm):
    """Somebody new."""

    username = forms.CharField(
        label="User name",
        max_length=150,
        help_text="The first part of their images' names: lower-case letters, digits, - _ and .",
        widget=forms.TextInput(_NAME_ATTRS),
    )
    field_order = ["username", "name", "email", "password", "is_superuser", "external"]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        password = self.fields["password"]
        password.label = "Password"
        password.help_text = "Left empty they can't sign in until they have one."
        if settings.MAIL_ENABLED:
            password.help_text = "Left empty they get a mail with a link by which they set one."
