"""To a provider and back."""

from __future__ import annotations

import logging
import time
from dataclasses import asdict
from typing import Any

from allauth.account.internal.flows.login import record_authentication
from allauth.account.utils import perform_login
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_variables
from django.views.decorators.http import require_safe

from gitlab.accounts import failed_logins
from gitlab.accounts.factors import standing
from gitlab.accounts.models import User
from gitlab.config.identity_tables import OpenIDConnect
from gitlab.identity_providers import openid_connect, services
from gitlab.identity_providers.linking import services as linking
from gitlab.identity_providers.linking.views import is_meant
from gitlab.identity_providers.openid_connect import Question
from gitlab.identity_providers.profiles import Profile, ProviderRefused, ProviderUnavailable
from gitlab.ui.toasts import add_toast
from tokens.limiter import TooManyRequests

log = logging.getLogger(__name__)

REFUSED = "You can't sign in this way. Ask an administrator."
UNAVAILABLE = "It does not answer as it should. Try again in a moment."
LATE = "This took too long, or was begun elsewhere. Try again."

_ASKED = "identity_questions"
_MOST = 10
_SECONDS = 600
"""For how long a browser may be away, and how many questions one session may have under way."""


@never_cache
@require_safe
def begin(request: HttpRequest, provider: str) -> HttpResponse:
    """Send the browser to the provider. A link and no form: a form's way leads to no other host.

    Who is signed in goes there to link it, from the page that asks whether that is meant.
    """
    found = _provider(provider)
    back = _back(request)
    links = request.user.is_authenticated
    if links and not is_meant(request, provider):
        return redirect(back)
    question = Question.new(provider)
    try:
        failed_logins.note_question(request.META.get("REMOTE_ADDR", ""))
        where = openid_connect.address(found, question)
    except TooManyRequests as error:
        return _refuse(request, provider, str(error), error)
    except ProviderUnavailable as error:
        return _refuse(request, provider, UNAVAILABLE, error)
    if not request.user.is_authenticated:
        # Nobody has signed in yet: their session is worth no more than the question.
        request.session.set_expiry(_SECONDS)
    _keep(request, question, back, links=request.user.pk if links else None)
    return redirect(where)


@sensitive_variables()
@never_cache
@require_safe
def callback(request: HttpRequest, provider: str) -> HttpResponse:
    """Back from the provider: in, or to the sign-in page with a word why not."""
    found = _provider(provider)
    kept = _take(request, provider)
    if kept is None:
        return _refuse(request, provider, LATE, "no such question is under way")
    question, back, links = kept
    if links != request.user.pk:
        # Signed in meanwhile, or out, or as somebody else.
        return redirect(back)
    try:
        profile = openid_connect.profile(found, question, request.GET.dict())
        if links is not None:
            return _link(request, provider, profile)
        user = services.admit(profile, openid_connect.terms(found))
    except ProviderRefused as error:
        return _refuse(request, provider, REFUSED, error)
    except ProviderUnavailable as error:
        return _refuse(request, provider, UNAVAILABLE, error)
    request.session.pop(standing.PROVEN_ELSEWHERE, None)
    if found.second_factor:
        request.session[standing.PROVEN_ELSEWHERE] = user.pk
    record_authentication(request, user, "socialaccount", provider=provider)
    return perform_login(request, user, redirect_url=back)


def _link(request: HttpRequest, provider: str, profile: Profile) -> HttpResponse:
    """Link it to whoever is signed in, or say why not."""
    assert isinstance(request.user, User)
    found = _provider(provider)
    try:
        linking.link(request.user, profile, openid_connect.terms(found))
    except PermissionDenied as error:
        add_toast(request, str(error), tone="bad")
    except ValidationError as error:
        add_toast(request, " ".join(error.messages), tone="bad")
    else:
        add_toast(request, f"{found.label or provider} is linked.")
    return redirect("identity_providers:own")


def _provider(name: str) -> OpenIDConnect:
    found = openid_connect.named(name)
    if found is None:
        raise Http404
    return found


def _back(request: HttpRequest) -> str:
    asked = request.GET.get("next", "")
    safe = url_has_allowed_host_and_scheme(
        asked, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return asked[:2000] if safe else reverse("home")


def _keep(request: HttpRequest, question: Question, back: str, *, links: int | None) -> None:
    kept = request.session.get(_ASKED, [])[-(_MOST - 1) :]
    asked = {"at": time.time(), "back": back, "links": links, **asdict(question)}
    request.session[_ASKED] = [*kept, asked]


def _take(request: HttpRequest, provider: str) -> tuple[Question, str, int | None] | None:
    """The question that this is the answer to, where it leads, and whose account it links, once.

    None where none of this browser's is.
    """
    kept: list[dict[str, Any]] = request.session.get(_ASKED, [])
    state = request.GET.get("state", "")
    found = next((one for one in kept if one["state"] == state), None)
    if found is None or found["provider"] != provider:
        return None
    request.session[_ASKED] = [one for one in kept if one is not found]
    request.session.save()
    if time.time() - found["at"] > _SECONDS:
        return None
    names = ("provider", "state", "nonce", "verifier")
    question = Question(**{name: found[name] for name in names})
    return question, found["back"], found.get("links")


def _refuse(request: HttpRequest, provider: str, text: str, reason: object) -> HttpResponse:
    log.warning("nobody comes in by %s: %s", provider, reason)
    add_toast(request, text, tone="bad")
    signed_in = request.user.is_authenticated
    return redirect("identity_providers:own" if signed_in else "accounts:sign_in")
