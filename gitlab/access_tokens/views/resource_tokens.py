"""Access tokens of a project or group: see, make, rotate, revoke. One set of views for both."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from gitlab.access_tokens import expiry, resource_tokens, rotation, services
from gitlab.access_tokens.forms import SHORT, ResourceTokenForm, RotateForm
from gitlab.access_tokens.models import PersonalAccessToken
from gitlab.access_tokens.views import new_text, owners
from gitlab.namespaces.models import AccessLevel, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import Crumb
from gitlab.ui import client_commands, form_errors
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_PAGE = "access_tokens"
_FORM = require_http_methods(["GET", "HEAD", "POST"])


def _load(request: HttpRequest, kind: str, path: str) -> Routable:
    return owners.load(request, kind, path, Ability.MANAGE_ACCESS_TOKENS)


def _frame(request: HttpRequest, owner: Routable, *crumbs: str) -> dict[str, Any]:
    back = owners.url(owner, _PAGE)
    links: list[Crumb] = [("Access tokens", back if crumbs else "")]
    return owners.frame(request, owner, _PAGE, *links, *((crumb, "") for crumb in crumbs)) | {
        "back": back,
        "here": request.path,
    }


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """Those that work, or with ``?state=inactive`` the others; above them a new one, once."""
    owner = _load(request, kind, path)
    inactive = request.GET.get("state") == "inactive"
    tokens = resource_tokens.tokens_of(person(request), owner, active=not inactive)
    context = _frame(request, owner) | {
        "rows": [_row(owner, token) for token in tokens[: owners.SHOWN]],
        "inactive": inactive,
        "reused": rotation.reuses(resource_tokens.tokens_of(person(request), owner)),
        "tabs": owners.state_tabs(owners.url(owner, _PAGE), inactive=inactive),
        "new": _new(owner, new_text.of(request)),
        "new_url": owners.url(owner, "access_token_new"),
    }
    response = render(request, "access_tokens/resource_tokens.html", context)
    return new_text.take_away(request, response)


def _row(owner: Routable, token: PersonalAccessToken) -> dict[str, Any]:
    return {
        "token": token,
        "role": AccessLevel(token.access_level or 0).label,
        "scopes": [(scope, SHORT.get(scope, scope)) for scope in token.scopes],
        "ends_soon": expiry.ends_soon(token),
        "rotate_url": owners.url(owner, "access_token_rotate", pk=token.pk),
        "revoke_url": owners.url(owner, "access_token_revoke", pk=token.pk),
    }


def _new(owner: Routable, text: str) -> dict[str, str] | None:
    """What to show of a token that has just been made here."""
    found = services.find(text) if text else None
    if found is None or not owner.access_tokens.filter(pk=found.id).exists():
        return None
    return {"name": found.name, "text": text, "login": client_commands.login(found.owner)}


@signed_in
@_FORM
def new(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """A new token and its bot; afterwards it is shown once."""
    owner = _load(request, kind, path)
    user = person(request)
    form = ResourceTokenForm(resource_tokens.highest_level(user, owner), request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            _, text = resource_tokens.create(user, owner, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            return new_text.send(text, owners.url(owner, _PAGE))
    context = _frame(request, owner, "New") | {"form": form}
    return render(request, "access_tokens/resource_token_new.html", context)


@signed_in
@_FORM
def rotate(request: HttpRequest, kind: str, path: str, pk: int) -> HttpResponse:
    """Another one in the place of this one; afterwards it is shown once."""
    owner = _load(request, kind, path)
    user = person(request)
    token = resource_tokens.get_for(user, owner, pk)
    form = RotateForm(token, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            _, text = resource_tokens.rotate(user, token, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            return new_text.send(text, owners.url(owner, _PAGE))
    context = _frame(request, owner, "Rotate") | {"form": form, "token": token}
    return render(request, "access_tokens/rotate.html", context)


@signed_in
@_FORM
def revoke(request: HttpRequest, kind: str, path: str, pk: int) -> HttpResponse:
    """Asks first, then refuses the token from now on."""
    owner = _load(request, kind, path)
    user = person(request)
    token = resource_tokens.get_for(user, owner, pk)
    if request.method == "POST":
        resource_tokens.revoke(user, token)
        add_toast(request, f"{token.name} is revoked.")
        return redirect(owners.url(owner, _PAGE))
    context = _frame(request, owner, "Revoke") | {"token": token, "title": f"Revoke {token.name}?"}
    return render(request, "access_tokens/revoke.html", context)
