"""Who may open a page at all: the decorators that views begin with."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

from allauth.account.decorators import reauthentication_required
from allauth.core.exceptions import ImmediateHttpResponse, ReauthenticationRequired
from django.conf import settings
from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from gitlab.principals import Person

View = Callable[..., HttpResponse]


def signed_in(view: View) -> View:
    """For people only; a visitor is asked to sign in and then comes back."""
    return login_required(view)


def person(request: HttpRequest) -> Person:
    """Who is signed in. Behind `signed_in` there always is somebody."""
    assert not isinstance(request.user, AnonymousUser)
    return request.user


SIGNED_IN_AT = "signed_in_at"
"""In the session: when somebody signed in, in seconds since the epoch."""


def is_confirmed(request: HttpRequest) -> bool:
    """Whether somebody has signed in, or given their password or a factor, within
    `ACCOUNT_REAUTHENTICATION_TIMEOUT`.
    """
    signed_in_at = request.session.get(SIGNED_IN_AT, 0.0)
    if 0 <= time.time() - signed_in_at < settings.ACCOUNT_REAUTHENTICATION_TIMEOUT:
        return True
    try:
        reauthentication_required(_nothing)(request)
    except ReauthenticationRequired:
        return False
    return True


def require_confirmation(request: HttpRequest) -> None:
    """Before what is dangerous: who has not is asked for it, and what they have sent goes on then.

    What holds a password is not kept meanwhile: they come back to the form. Raises what allauth's
    middleware makes an answer of.
    """
    if is_confirmed(request):
        return
    if any("password" in name for name in request.POST):
        back = urlencode({"next": request.get_full_path()})
        raise ImmediateHttpResponse(redirect(f"{reverse('account_reauthenticate')}?{back}"))
    raise ReauthenticationRequired


def _nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse()


def or_sign_in(view: View) -> View:
    """For everybody. What a visitor may not see or do, or does not exist, asks them to sign in.

    All get the same answer, so a visitor does not learn which of them it is.
    """

    @functools.wraps(view)
    def ask(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        try:
            return view(request, *args, **kwargs)
        except (Http404, PermissionDenied):
            if request.user.is_authenticated or request.method not in ("GET", "HEAD"):
                raise
            return redirect_to_login(request.get_full_path())

    return ask
