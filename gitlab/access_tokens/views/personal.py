"""One's own access tokens: make, see, revoke."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from gitlab.access_tokens import expiry, rotation, services
from gitlab.access_tokens.forms import SHORT, RotateForm, TokenForm
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.access_tokens.views import new_text, suggestions
from gitlab.namespaces.sidebars import home_frame
from gitlab.principals import Person
from gitlab.ui import client_commands, form_errors
from gitlab.ui.decorators import person, require_confirmation, signed_in
from gitlab.ui.toasts import add_toast

SHOWN = 200
"""Tokens on a page. Nobody reads more; the newest are the ones that matter."""


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The tokens that work, or with ``?state=inactive`` the others; above them a new one, once."""
    user = person(request)
    inactive = request.GET.get("state") == "inactive"
    counts = [services.tokens_of(user, active=active).count() for active in (True, False)]
    here = reverse("access_tokens:index")
    context = {
        **home_frame(user, "tokens", ("Your account", ""), ("Access tokens", "")),
        "tokens": [_row(token) for token in services.tokens_of(user, active=not inactive)[:SHOWN]],
        "inactive": inactive,
        "reused": rotation.reuses(services.tokens_of(user)),
        "tabs": [
            {"label": "Active", "url": here, "active": not inactive, "count": counts[0]},
            {
                "label": "Inactive",
                "url": f"{here}?state=inactive",
                "active": inactive,
                "count": counts[1],
            },
        ],
        "new": _new(user, new_text.of(request)),
        "new_url": reverse("access_tokens:new"),
    }
    return new_text.take_away(request, render(request, "access_tokens/index.html", context))


def _row(token: PersonalAccessToken) -> dict[str, Any]:
    order = [*SHORT, *services.SCOPES]
    scopes = sorted(token.scopes, key=lambda s: order.index(s) if s in order else len(order))
    return {
        "token": token,
        "scopes": [(scope, SHORT.get(scope, scope)) for scope in scopes],
        "ends_soon": expiry.ends_soon(token),
    }


def _new(user: Person, text: str) -> dict[str, str] | None:
    """What to show of a token that has just been made; only its own owner sees it."""
    token = services.find(text) if text else None
    if token is None or token.user_id != user.pk:
        return None
    return {"name": token.name, "text": text, "login": client_commands.login(user)}


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """A new token; afterwards it is shown once."""
    user = person(request)
    form = TokenForm(request.POST or None, initial=suggestions.of(request))
    if request.method == "POST" and form.is_valid():
        # It may all that its owner may, and goes on when they have closed their screen.
        require_confirmation(request)
        try:
            _, text = services.create(user, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            return new_text.send(text, reverse("access_tokens:index"))
    crumbs = [("Your account", ""), ("Access tokens", reverse("access_tokens:index")), ("New", "")]
    back = reverse("access_tokens:index")
    context = {**home_frame(user, "tokens", *crumbs), "form": form, "back": back}
    return render(request, "access_tokens/new.html", context)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks first, then refuses the token from now on."""
    user = person(request)
    token = services.get_for(user, pk)
    if request.method == "POST":
        services.revoke(user, token)
        add_toast(request, f"{token.name} is revoked.")
        return redirect("access_tokens:index")
    crumbs = [
        ("Your account", ""),
        ("Access tokens", reverse("access_tokens:index")),
        ("Revoke", ""),
    ]
    context = {
        **home_frame(user, "tokens", *crumbs),
        "token": token,
        "title": f"Revoke {token.name}?",
        "here": request.path,
        "back": reverse("access_tokens:index"),
    }
    return render(request, "access_tokens/revoke.html", context)


@signed_in
@require_http_methods(["GET", "HEAD", "POST"])
def rotate(request: HttpRequest, pk: int) -> HttpResponse:
    """Another one in the place of this one; afterwards it is shown once."""
    user = person(request)
    token = services.get_for(user, pk)
    here = reverse("access_tokens:index")
    form = RotateForm(token, request.POST or None)
    if request.method == "POST" and form.is_valid():
        require_confirmation(request)
        try:
            _, text = services.rotate(user, token, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            return new_text.send(text, here)
    crumbs = [("Your account", ""), ("Access tokens", here), ("Rotate", "")]
    context = {**home_frame(user, "tokens", *crumbs), "form": form, "token": token, "back": here}
    return render(request, "access_tokens/rotate.html", context)
