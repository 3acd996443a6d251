"""Tells the audit where a request comes from, and who signs in and out."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from django.contrib.auth.signals import user_logged_in, user_logged_out
from django.http import HttpRequest, HttpResponse

from gitlab.audit import origin
from gitlab.audit.services import record
from gitlab.ui.decorators import SIGNED_IN_AT


class OriginMiddleware:
    """Whatever is recorded during the request carries its client's address."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        with origin.acting_from(request.META.get("REMOTE_ADDR", "")):
            return self.get_response(request)


def listen() -> None:
    """Have signing in and out recorded from now on, whichever page does it: Django tells of both.

    What fails is recorded where the password is looked at, since no session tells of it.
    """
    user_logged_in.connect(_signed_in, dispatch_uid="audit: signed in")
    user_logged_out.connect(_signed_out, dispatch_uid="audit: signed out")


def _signed_in(user: Any, request: HttpRequest | None, **_: Any) -> None:
    if request is not None:
        request.session[SIGNED_IN_AT] = time.time()
        origin.acted_with(origin.of_session(request.session.session_key))
        record("user.sign_in", by=user, target=user)


def _signed_out(user: Any, **_: Any) -> None:
    if user is not None:
        record("user.sign_out", by=user, target=user)
