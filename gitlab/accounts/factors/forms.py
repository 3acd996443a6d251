"""What people type or have a device say. allauth's forms, counted as all guesses are counted."""

from __future__ import annotations

from typing import Any

from allauth.account.forms import ReauthenticateForm
from allauth.core import context
from allauth.mfa.base.forms import AuthenticateForm
from allauth.mfa.base.forms import ReauthenticateForm as ReauthenticateByCode
from allauth.mfa.totp.forms import ActivateTOTPForm as AllauthActivateTOTPForm
from allauth.mfa.webauthn.forms import (
    AddWebAuthnForm,
    AuthenticateWebAuthnForm,
    LoginWebAuthnForm,
)
from django import forms
from django.core.exceptions import ValidationError

from gitlab.accounts import failed_logins, login_waits
from gitlab.accounts.directories import DirectoryAway
from gitlab.accounts.factors import services
from gitlab.accounts.failed_logins import TooManyFailedLogins
from gitlab.audit import denials

SECOND_FACTOR = "second factor"
"""What the record calls a code or a passkey after the password."""

_CODE = {
    "autocomplete": "one-time-code",
    "inputmode": "numeric",
    "autofocus": True,
    "spellcheck": "false",
}


def _denied(user: Any, text: str, reason: str) -> ValidationError:
    """What is said; why it was denied is kept for whose account it is, and has an id."""
    name = user.username
    reference = denials.login(
        reason,
        who=failed_logins.digest_of(name),
        name=name,
        credential=SECOND_FACTOR,
        person_pk=user.pk,
    )
    return ValidationError(denials.told(text, reference))


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
            raise _denied(
                self.user, str(error), "too many wrong codes of the second factor"
            ) from error
        found = services.check_code(self.user, code)
        if found is None:
            text = "This code is wrong, or was used before."
            raise _denied(self.user, text, "the code of the second factor is wrong")
        attempt.succeeded()
        found.user = self.user
        self.authenticator = found
        return code


class CodeForm(_Counted, AuthenticateForm):
    """The second factor at sign-in."""


class ConfirmByCodeForm(_Counted, ReauthenticateByCode):
    """Who is signed in says by a code that it is them."""


class _Signed(AuthenticateWebAuthnForm):
    """What a device has signed."""

    def clean_credential(self) -> Any:
        """The passkey. At what is none allauth fails where its form is unexpected."""
        try:
            return super().clean_credential()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ValidationError("This is no passkey.") from error


class PasskeyForm(_Signed):
    """A passkey as the second factor at sign-in."""

    def clean_credential(self) -> Any:
        """The passkey. A refusal is kept for whose account it is."""
        try:
            return super().clean_credential()
        except ValidationError as error:
            text = " ".join(error.messages)
            raise _denied(self.user, text, "the passkey is wrong") from error


class ConfirmByPasskeyForm(PasskeyForm):
    """Who is signed in says by a passkey that it is them."""

    reauthenticated = True


class PasskeyAloneForm(_Signed, LoginWebAuthnForm):
    """A passkey in place of name and password."""


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
