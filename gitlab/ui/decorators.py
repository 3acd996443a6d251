"""Who may open a page at all: the decorators that views begin with."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse

from gitlab.principals import Person

View = Callable[..., HttpResponse]


def signed_in(view: View) -> View:
    """For people only; a visitor is asked to sign in and then comes back."""
    return login_required(view)


def person(request: HttpRequest) -> Person:
    """Who is signed in. Behind `signed_in` there always is somebody."""
    assert not isinstance(request.user, AnonymousUser)
    return request.user


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
