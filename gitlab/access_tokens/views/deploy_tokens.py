"""Deploy tokens of a project or group: see, make, revoke. One set of views for both."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from gitlab.access_tokens import deploy_tokens, expiry
from gitlab.access_tokens.forms import SHORT, DeployTokenForm
from gitlab.access_tokens.models import DeployToken
from gitlab.access_tokens.views import new_text, owners, suggestions
from gitlab.namespaces.models import Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import Crumb
from gitlab.ui import form_errors
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_PAGE = "deploy_tokens"
_FORM = require_http_methods(["GET", "HEAD", "POST"])


def _frame(request: HttpRequest, owner: Routable, *crumbs: Crumb) -> dict[str, Any]:
    return owners.frame(request, owner, _PAGE, *crumbs)


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """Those that work, or with ``?state=inactive`` the others; above them a new one, once."""
    owner = owners.load(request, kind, path, Ability.READ_DEPLOY_TOKENS)
    inactive = request.GET.get("state") == "inactive"
    tokens = deploy_tokens.tokens_of(person(request), owner, active=not inactive)
    here = owners.url(owner, _PAGE)
    context = _frame(request, owner, ("Deploy tokens", "")) | {
        "rows": [_row(owner, token) for token in tokens[: owners.SHOWN]],
        "inactive": inactive,
        "tabs": owners.state_tabs(here, inactive=inactive),
        "new": _new(owner, new_text.of(request)),
        "manages": Ability.MANAGE_DEPLOY_TOKENS in owner.abilities,
        "new_url": owners.url(owner, "deploy_token_new"),
    }
    response = render(request, "access_tokens/deploy_tokens.html", context)
    return new_text.take_away(request, response)


def _row(owner: Routable, token: DeployToken) -> dict[str, Any]:
    return {
        "token": token,
        "scopes": [(scope, SHORT.get(scope, scope)) for scope in token.scopes],
        "ends_soon": expiry.ends_soon(token),
        "revoke_url": owners.url(owner, "deploy_token_revoke", pk=token.pk),
    }


def _new(owner: Routable, text: str) -> dict[str, str] | None:
    """What to show of a token that has just been made here."""
    token = deploy_tokens.find(text) if text else None
    column = "project_id" if isinstance(owner, Project) else "namespace_id"
    if token is None or getattr(token, column) != owner.pk:
        return None
    host = settings.CONTAINER_REGISTRY_HOST_PORT
    return {
        "name": token.name,
        "username": token.login_name,
        "text": text,
        "login": f"docker login {host} -u {token.login_name}",
    }


@signed_in
@_FORM
def new(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """A new deploy token; afterwards it is shown once."""
    owner = owners.load(request, kind, path, Ability.MANAGE_DEPLOY_TOKENS)
    back = owners.url(owner, _PAGE)
    form = DeployTokenForm(request.POST or None, initial=suggestions.of(request))
    if request.method == "POST" and form.is_valid():
        try:
            _, text = deploy_tokens.create(person(request), owner, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            return new_text.send(text, back)
    context = _frame(request, owner, ("Deploy tokens", back), ("New", ""))
    return render(
        request, "access_tokens/deploy_token_new.html", context | {"form": form, "back": back}
    )


@signed_in
@_FORM
def revoke(request: HttpRequest, kind: str, path: str, pk: int) -> HttpResponse:
    """Asks first, then refuses the token from now on."""
    owner = owners.load(request, kind, path, Ability.MANAGE_DEPLOY_TOKENS)
    user = person(request)
    token = deploy_tokens.get_for(user, owner, pk)
    back = owners.url(owner, _PAGE)
    if request.method == "POST":
        deploy_tokens.revoke(user, token)
        add_toast(request, f"{token.name} is revoked.")
        return redirect(back)
    context = _frame(request, owner, ("Deploy tokens", back), ("Revoke", "")) | {
        "token": token,
        "title": f"Revoke {token.name}?",
        "here": request.path,
        "back": back,
    }
    return render(request, "access_tokens/revoke.html", context)
