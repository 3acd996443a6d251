"""The pages of second factors: allauth's flows, in our frame, with our record.

Each asks first for the password or a factor, unless that was given in the last ten minutes.
"""

from __future__ import annotations

import json
from typing import Any

from allauth.account.views import ReauthenticateView
from allauth.mfa.base.views import AuthenticateView
from allauth.mfa.base.views import ReauthenticateView as ReauthenticateByCodeView
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.views import GenerateRecoveryCodesView, ViewRecoveryCodesView
from allauth.mfa.totp.views import ActivateTOTPView, DeactivateTOTPView
from allauth.mfa.webauthn.views import (
    AddWebAuthnView,
    LoginWebAuthnView,
    ReauthenticateWebAuthnView,
    RemoveWebAuthnView,
)
from django.core.serializers.json import DjangoJSONEncoder
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.decorators import method_decorator
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from gitlab.accounts import directories, failed_logins
from gitlab.accounts.factors import services, standing
from gitlab.accounts.models import User
from gitlab.accounts.views import go_on, waiting
from gitlab.namespaces.sidebars import home_frame
from gitlab.ui.decorators import signed_in
from tokens.limiter import TooManyRequests

_TITLE = "Two-factor authentication"


def _frame(request: HttpRequest, *more: str) -> dict[str, Any]:
    here = reverse("mfa_index") if more else ""
    crumbs = [("Your account", ""), (_TITLE, here), *((title, "") for title in more)]
    return home_frame(request.user, "factors", *crumbs)


def oneself(request: HttpRequest) -> User:
    """The row of whoever is signed in."""
    assert isinstance(request.user, User)
    return request.user


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """What factors there are, and what is required."""
    user = oneself(request)
    found = services.of(user)
    back = request.GET.get("next", "")
    if not url_has_allowed_host_and_scheme(back, allowed_hosts={request.get_host()}):
        back = ""
    codes = next((row for row in found if row.type == Authenticator.Type.RECOVERY_CODES), None)
    context = {
        **_frame(request),
        "standing": standing.of(user),
        "later": back,
        "app": next((row for row in found if row.type == Authenticator.Type.TOTP), None),
        "passkeys": [row for row in found if row.type == Authenticator.Type.WEBAUTHN],
        "codes_left": len(codes.wrap().get_unused_codes()) if codes else None,
    }
    return render(request, "mfa/index.html", context)


class _Framed:
    """A page of somebody's own account, called `title`. What is refused answers 429 with a wait."""

    title = ""
    request: HttpRequest

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """allauth's, with the frame, and with what a device needs as a text."""
        found: dict[str, Any] = super().get_context_data(**kwargs)  # type: ignore[misc]
        return found | _frame(self.request, self.title) | _options(found)


def _options(context: dict[str, Any]) -> dict[str, str]:
    """What the browser asks a device with, as an attribute may hold it: no script is in a page."""
    data = context.get("js_data")
    return {"options": json.dumps(data, cls=DjangoJSONEncoder)} if data else {}


class ActivateApp(_Framed, ActivateTOTPView):
    """An authenticator app."""

    title = "Authenticator app"

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """Other sessions end; this one goes on."""
        user = oneself(self.request)
        response = super().form_valid(form)
        services.use_up(user, form.cleaned_data["code"])
        services.note_added(user, "totp", this_session=self.request.session.session_key)
        go_on(self.request, user)
        return response


class RemoveApp(_Framed, DeactivateTOTPView):
    """The app is no factor any more."""

    title = "Remove the app"

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """With the last factor the recovery codes go."""
        response = super().form_valid(form)
        services.note_removed(oneself(self.request), "totp")
        return response


class AddPasskey(_Framed, AddWebAuthnView):
    """A passkey, or a security key."""

    title = "New passkey"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """allauth makes the form anew, and would lose what is wrong with what was sent."""
        found = super().get_context_data(**kwargs)
        return found | ({"form": kwargs["form"]} if "form" in kwargs else {})

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """Other sessions end; this one goes on."""
        user = oneself(self.request)
        response = super().form_valid(form)
        services.note_added(user, "webauthn", this_session=self.request.session.session_key)
        go_on(self.request, user)
        return response


class RemovePasskey(_Framed, RemoveWebAuthnView):
    """A passkey is no factor any more."""

    title = "Remove the passkey"

    def get_success_url(self) -> str:
        """Where the others are listed."""
        return reverse("mfa_index")

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """With the last factor the recovery codes go."""
        response = super().form_valid(form)
        services.note_removed(oneself(self.request), "webauthn")
        return response


class RecoveryCodes(_Framed, ViewRecoveryCodesView):
    """The codes, shown once."""

    title = "Recovery codes"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """The codes, one a line, for copying."""
        found = super().get_context_data(**kwargs)
        return found | {"codes": "\n".join(found["unused_codes"])}


class NewRecoveryCodes(_Framed, GenerateRecoveryCodesView):
    """New codes in place of those from before."""

    title = "New recovery codes"

    @transaction.atomic
    def form_valid(self, form: Any) -> HttpResponse:
        """Record it."""
        response = super().form_valid(form)
        services.note_new_codes(oneself(self.request))
        return response


class _Waiting:
    """A page on which codes or passwords are guessed: 429 for who guesses too often."""

    def form_invalid(self, form: Any) -> HttpResponse:
        """The page again."""
        response = super().form_invalid(form)  # type: ignore[misc]
        return waiting(response, getattr(form, "wait", 0))


class SecondFactor(_Waiting, AuthenticateView):
    """The second step of signing in."""

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """What is asked for: a code, a passkey, or either."""
        found = super().get_context_data(**kwargs)
        kinds = {row.type for row in services.of(self.stage.login.user)}
        return found | _options(found) | {"kinds": kinds}


class Confirm(_Waiting, _Framed, ReauthenticateView):
    """The password once more, before what somebody at an unlocked screen must not do."""

    title = "Confirm that it is you"

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        """Whether there is a password to ask for, and which."""
        found = super().get_context_data(**kwargs)
        user = oneself(self.request)
        label = "" if user.has_usable_password() else directories.label(user)
        return found | {"directory": label, "asks": bool(label) or user.has_usable_password()}


class ConfirmByCode(_Waiting, _Framed, ReauthenticateByCodeView):
    """A code in place of the password."""

    title = "Confirm that it is you"


class ConfirmByPasskey(_Framed, ReauthenticateWebAuthnView):
    """A passkey in place of the password."""

    title = "Confirm that it is you"

    def form_invalid(self, form: Any) -> HttpResponse:
        """The page again."""
        response = super().form_invalid(form)
        response["Location"] = self.request.get_full_path()
        return response


_CHALLENGE_LASTS = 600
"""Seconds for which the session of a visitor who has asked for a passkey stays."""


class PasskeySignIn(LoginWebAuthnView):
    """Signing in by a passkey alone. GET with ``Accept: application/json`` asks for a challenge."""

    @method_decorator(never_cache)
    def dispatch(self, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """allauth's."""
        return super().dispatch(*args, **kwargs)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        """A challenge, kept in a session that soon ends: nobody has signed in yet."""
        try:
            failed_logins.note_challenge(request.META.get("REMOTE_ADDR", ""))
        except TooManyRequests as error:
            answer = JsonResponse({"message": str(error)}, status=429)
            return waiting(answer, error.retry_after)
        request.session.set_expiry(_CHALLENGE_LASTS)
        return super().get(request, *args, **kwargs)
