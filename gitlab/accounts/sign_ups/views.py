"""The pages of who registers. Without `SIGNUP_ENABLED` there are none."""

from __future__ import annotations

from allauth.account.internal.flows.login import record_authentication
from django.conf import settings
from django.contrib.auth import login
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from gitlab.accounts.forms import SignUpForm
from gitlab.accounts.models import User
from gitlab.accounts.password_resets.forms import AskForm
from gitlab.accounts.sign_ups import services
from gitlab.accounts.views import waiting
from gitlab.ui import form_errors
from gitlab.ui.toasts import add_toast
from tokens.limiter import TooManyRequests

_FORM = require_http_methods(["GET", "HEAD", "POST"])


def enter(request: HttpRequest, user: User) -> HttpResponse | None:
    """Sign a new person in. Where they wait for approval: the page that says so."""
    if user.is_pending:
        text = "Your account is made. You can sign in once an administrator has approved it."
        add_toast(request, text, tone="info")
        return redirect("accounts:sign_in")
    login(request, user)
    record_authentication(request, user, "password")
    return None


@sensitive_post_parameters("password")
@never_cache
@_FORM
def sign_up(request: HttpRequest) -> HttpResponse:
    """A stranger's registration; where addresses are proven first, the form that sends a link."""
    if not settings.SIGNUP_ENABLED:
        raise Http404
    if request.user.is_authenticated:
        return redirect("home")
    return _ask(request) if services.wants_link() else _register(request, "")


@sensitive_post_parameters("password")
@never_cache
@_FORM
def sign_up_by_link(request: HttpRequest, token: str) -> HttpResponse:
    """The registration of who has come by the link, with the address that it proves."""
    if not settings.SIGNUP_ENABLED:
        raise Http404
    if request.user.is_authenticated:
        return redirect("home")
    try:
        email = services.email_of(token)
    except Http404:
        return render(request, "accounts/sign_up_over.html", status=404)
    return _register(request, email)


def _ask(request: HttpRequest) -> HttpResponse:
    form = AskForm(request.POST or None)
    wait = 0
    if request.method == "POST" and form.is_valid():
        try:
            address = request.META.get("REMOTE_ADDR", "")
            services.send_link(form.cleaned_data["email"], address=address)
        except ValidationError as error:
            form_errors.show(form, error)
        except TooManyRequests as error:
            form.add_error(None, str(error))
            wait = error.retry_after
        else:
            add_toast(request, "A link is on its way, with which you go on.", tone="info")
            return redirect("accounts:sign_in")
    context = {"form": form, "domains": settings.SIGNUP_DOMAINS}
    return waiting(render(request, "accounts/sign_up_ask.html", context), wait)


def _register(request: HttpRequest, email: str) -> HttpResponse:
    """The form of a new account; `email` is what a link has proven, "" where it is typed."""
    form = SignUpForm(request.POST or None)
    if email:
        del form.fields["email"]
    wait = 0
    if request.method == "POST" and form.is_valid():
        given = form.cleaned_data | ({"email": email, "is_proven": True} if email else {})
        try:
            services.count(request.META.get("REMOTE_ADDR", ""))
            user = services.sign_up(**given)
        except ValidationError as error:
            form_errors.show(form, error)
        except TooManyRequests as error:
            form.add_error(None, str(error))
            wait = error.retry_after
        else:
            waits = enter(request, user)
            if waits is not None:
                return waits
            add_toast(request, f"Welcome, {user.name}.")
            return redirect("home")
    context = {"form": form, "email": email, "approval": settings.SIGNUP_REQUIRES_APPROVAL}
    return waiting(render(request, "accounts/sign_up.html", context), wait)
