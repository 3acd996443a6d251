"""The addresses of second factors. allauth's flows ask for these names, without a name space."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from gitlab.accounts import views as accounts
from gitlab.accounts.factors import views

_OWN = "-/user_settings/two_factor"

urlpatterns: list[URLPattern | URLResolver] = [
    path("users/sign_in", accounts.sign_in, name="account_login"),
    path("users/sign_in/two_factor", views.SecondFactor.as_view(), name="mfa_authenticate"),
    path("users/sign_in/passkey", views.PasskeySignIn.as_view(), name="mfa_login_webauthn"),
    path("users/confirm", views.Confirm.as_view(), name="account_reauthenticate"),
    path("users/confirm/code", views.ConfirmByCode.as_view(), name="mfa_reauthenticate"),
    path(
        "users/confirm/passkey",
        views.ConfirmByPasskey.as_view(),
        name="mfa_reauthenticate_webauthn",
    ),
    path(_OWN, views.index, name="mfa_index"),
    path(f"{_OWN}/app", views.ActivateApp.as_view(), name="mfa_activate_totp"),
    path(f"{_OWN}/app/remove", views.RemoveApp.as_view(), name="mfa_deactivate_totp"),
    path(f"{_OWN}/passkeys/new", views.AddPasskey.as_view(), name="mfa_add_webauthn"),
    path(
        f"{_OWN}/passkeys/<int:pk>/remove",
        views.RemovePasskey.as_view(),
        name="mfa_remove_webauthn",
    ),
    path(f"{_OWN}/codes", views.RecoveryCodes.as_view(), name="mfa_view_recovery_codes"),
    path(f"{_OWN}/codes/new", views.NewRecoveryCodes.as_view(), name="mfa_generate_recovery_codes"),
]
