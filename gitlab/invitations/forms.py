"""What people type about invitations, and who accepts one with a new account."""

from __future__ import annotations

from typing import Any

from django import forms

from gitlab.accounts.forms import SignUpForm
from gitlab.namespaces.forms import Levels, MemberForm


class InviteForm(MemberForm):
    """An address, a role, and until when."""

    email = forms.EmailField(
        label="E-mail",
        max_length=254,
        widget=forms.EmailInput(
            {"autocomplete": "off", "autocapitalize": "none", "spellcheck": "false"}
        ),
    )

    def __init__(self, highest: int, *args: Any, **kwargs: Any) -> None:
        super().__init__(highest, *args, **kwargs)
        self.fields["access_level"] = Levels(highest)


class AcceptingSignUpForm(SignUpForm):
    """A new account with the address that was invited."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        del self.fields["email"]
