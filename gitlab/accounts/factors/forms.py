"""What people type or have a device say. allauth's forms, counted as all guesses are counted."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import ReauthenticateForm
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as ReauthenticateByCode
from allauth.mfa.totp.forms import ActivateTOTPForm as AllauthActivateTOTPForm
from allauth.mfa.webauthn.forms import AddWebAuthnForm
from django import forms
from django.core.exceptions import ValidationError

from gitlab.accounts import failed_logins, login_waits
from gitlab.accounts.directories import DirectoryAway
from gitlab.accounts.factors import services
from gitlab.accounts.failed_logins import TooManyFailedLogins

_CODE = {
    "autocomplete": "one-time-code",
    "inputmode": "numeric",
    "autofocus": True,
    "spellcheck": "false",
}


class _Counted(forms.Form):
    """A code of the app, or one for recovery. `wait` is how many seconds somebody has to wait."""

    wait = 0
    user: Any
    code = forms.CharField(max_length=32, widget=forms.TextInput(_CODE))

    def clean_code(self) -> str:
        """The code. It counts as a failure before it is looked at, and is given back if right."""
        code: str = self.cleaned_data["code"]
        address = context.request.META.get("REMOTE_ADDR", "")
        try:
            attempt = failed_logins.begin_factor(self.user, address=address)
        except TooManyFailedLogins as error:
            self.wait = error.retry_after
            login_waits.note(self.user, address, self.wait)
            raise ValidationError(str(error)) from error
        found = services.check_code(self.user, code)
        if found is None:
            raise ValidationError("This code is wrong, or was used before.")
        attempt.succeeded()
        found.user = self.user
        self.authenticator = found
        return code


class CodeForm(_Counted, AuthenticateForm):
    """The second factor at sign-in."""


class ConfirmByCodeForm(_Counted, ReauthenticateByCode):
    """Who is signed in says by a code that it is them."""


class ConfirmByPasswordForm(ReauthenticateForm):
    """Who is signed in says by their password that it is them."""

    wait = 0
    password = forms.CharField(
        strip=False,
        max_length=4096,
        widget=forms.PasswordInput({"autocomplete": "current-password", "autofocus": True}),
    )

    def clean_password(self) -> str:
        """The password. Counted with those typed when it is changed."""
        try:
            return super().clean_password()
        except DirectoryAway as error:
            raise ValidationError(str(error)) from error
        except TooManyFailedLogins as error:
            self.wait = error.retry_after
            raise ValidationError(str(error)) from error


class ActivateTOTPForm(AllauthActivateTOTPForm):
    """A first code, which proves that the app holds the secret."""

    code = forms.CharField(
        label="Code of the app",
        max_length=32,
        help_text="Six digits. They change every half minute.",
        widget=forms.TextInput(_CODE),
    )

    def clean_code(self) -> str:
        """The code, without the blanks that apps show in it."""
        self.cleaned_data["code"] = "".join(self.cleaned_data["code"].split())
        return super().clean_code()


class AddPasskeyForm(AddWebAuthnForm):
    """A passkey with a name to know it by."""

    name = forms.CharField(
        max_length=64,
        help_text="How you know it again: the device, or the program that keeps it.",
        widget=forms.TextInput({"autocomplete": "off", "autofocus": True}),
    )
    passwordless = forms.BooleanField(
        label="Sign in by it alone",
        required=False,
        initial=True,
        help_text="Without name and password. The device asks for a finger, a face or its PIN.",
    )

    def clean_name(self) -> str:
        """The name, where there is room for one more."""
        try:
            services.check_room(self.user)
        except ValidationError as error:
            raise ValidationError(error.messages) from error
        return super().clean_name()
