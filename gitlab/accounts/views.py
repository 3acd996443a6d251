"""Signing in and out, and one's own account."""

from __future__ import annotations

from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django.conf import settings
from django.contrib.auth import login, logout, update_session_auth_hash
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from gitlab.accounts import directories, services, sessions
from gitlab.accounts import sign_in as signing_in
from gitlab.accounts.failed_logins import TooManyFailedLogins
from gitlab.accounts.forms import PasswordForm, ProfileForm, SignInForm, SignUpForm
from gitlab.accounts.models import User
from gitlab.namespaces.sidebars import home_frame
from gitlab.ui import client_commands, form_errors
from gitlab.ui.decorators import require_confirmation, signed_in
from gitlab.ui.toasts import add_toast


def _next(request: HttpRequest) -> str:
    """Where to go afterwards: an address of ours, whatever the request says."""
    asked = request.POST.get("next") or request.GET.get("next") or ""
    safe = url_has_allowed_host_and_scheme(
        asked, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return asked if safe else reverse("home")


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    """The sign-in page. It says the same for an unknown name as for a wrong password.

    Who has a second factor is asked for it next: see `factors.views`.
    """
    back = _next(request)
    if request.user.is_authenticated:
        return redirect(back)
    form = SignInForm(request.POST or None)
    wait = 0
    if request.method == "POST" and form.is_valid():
        try:
            user = _verify(request, form)
            record_authentication(request, user, "password")
            return perform_login(request, user, redirect_url=back)
        except signing_in.SignInRefused as error:
            form.add_error(None, str(error))
        except TooManyFailedLogins as error:
            form.add_error(None, str(error))
            wait = error.retry_after
    if form.is_bound:
        form.focus_password()
    context = {
        "form": form,
        "next": back,
        "signup": settings.SIGNUP_ENABLED,
        "reset": settings.MAIL_ENABLED,
        "providers": _providers(back),
        "directories": directories.names(),
    }
    return waiting(render(request, "accounts/sign_in.html", context), wait)


def _providers(back: str) -> list[tuple[str, str]]:
    """What stands on the buttons of identity providers, and where each leads."""
    return [
        (
            f"Continue with {provider.label or name}",
            f"{reverse('identity_providers:begin', args=[name])}?{urlencode({'next': back})}",
        )
        for name, provider in settings.IDENTITY_PROVIDERS.items()
    ]


def waiting(response: HttpResponse, wait: int) -> HttpResponse:
    """`response`, as 429 where somebody has to wait for `wait` seconds."""
    if wait:
        response.status_code = 429
        response["Retry-After"] = str(wait)
    return response


def _verify(request: HttpRequest, form: SignInForm) -> User:
    return signing_in.verify(
        form.cleaned_data["login"],
        form.cleaned_data["password"],
        address=request.META.get("REMOTE_ADDR", ""),
        reactivates=True,
        second_factor_follows=True,
    )


def go_on(request: HttpRequest, user: User) -> None:
    """Sign this session anew, under another key, where all others of the user have just ended."""
    before = request.session.session_key
    update_session_auth_hash(request, user)
    sessions.carry_over(before, request.session.session_key)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_out(request: HttpRequest) -> HttpResponse:
    """POST ends the session; GET asks, so that a link elsewhere can't."""
    if request.method == "POST":
        sessions.forget(request.session.session_key)
        logout(request)
        add_toast(request, "You are signed out.", tone="info")
        return redirect("accounts:sign_in")
    if not request.user.is_authenticated:
        return redirect("accounts:sign_in")
    return render(request, "accounts/sign_out.html")


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def sign_up(request: HttpRequest) -> HttpResponse:
    """A stranger's registration, where the settings allow it."""
    if not settings.SIGNUP_ENABLED:
        raise Http404
    if request.user.is_authenticated:
        return redirect("home")
    form = SignUpForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = services.sign_up(**form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            login(request, user)
            add_toast(request, f"Welcome, {user.name}.")
            return redirect("home")
    return render(request, "accounts/sign_up.html", {"form": form})


def _oneself(request: HttpRequest) -> User:
    """The row of whoever is signed in, to be changed."""
    assert isinstance(request.user, User)
    return request.user


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def profile(request: HttpRequest) -> HttpResponse:
    """Name and e-mail address."""
    user = _oneself(request)
    form = ProfileForm(request.POST or None, initial={"name": user.name, "email": user.email})
    if request.method == "POST" and form.is_valid():
        if form.cleaned_data["email"].strip().lower() != user.email:
            # Who reads mails to it can set another password.
            require_confirmation(request)
        try:
            services.update_user(user, by=user, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
            # What the page's frame shows stays what is stored.
            user.refresh_from_db()
        else:
            add_toast(request, "Your profile is saved.")
            return redirect("accounts:profile")
    context = _page(request, "profile", "Profile", form)
    context["images"] = client_commands.image_name(user.username)
    return render(request, "accounts/profile.html", context)


@sensitive_post_parameters()
@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Another password: other sessions end, this one goes on."""
    user = _oneself(request)
    form = PasswordForm(request.POST or None)
    wait = 0
    if request.method == "POST" and form.is_valid():
        try:
            services.change_password(
                user,
                form.cleaned_data["new_password"],
                by=user,
                current_password=form.cleaned_data["current_password"],
                this_session=request.session.session_key,
            )
        except ValidationError as error:
            form_errors.show(form, error)
        except TooManyFailedLogins as error:
            form.add_error("current_password", str(error))
            wait = error.retry_after
        else:
            go_on(request, user)
            add_toast(request, "Your password is changed. Other sessions have ended.")
            return redirect("accounts:password")
    context = _page(request, "password", "Password", form)
    context["directory"] = "" if user.has_usable_password() else directories.label(user)
    return waiting(render(request, "accounts/password.html", context), wait)


def _page(request: HttpRequest, active: str, title: str, form: Any) -> dict[str, Any]:
    return {**home_frame(request.user, active, ("Your account", ""), (title, "")), "form": form}
