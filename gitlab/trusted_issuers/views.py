"""Trusts of a project or group: see, make, change, try, revoke. One set of views for both."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from gitlab.access_tokens.views import owners
from gitlab.namespaces.models import Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import Crumb
from gitlab.trusted_issuers import services
from gitlab.trusted_issuers.forms import SHORT, TrustForm, TryForm, initial
from gitlab.trusted_issuers.models import TrustedIssuer
from gitlab.ui import form_errors
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast

_FORM = require_http_methods(["GET", "HEAD", "POST"])


def _load(request: HttpRequest, kind: str, path: str) -> Routable:
    return owners.load(request, kind, path, Ability.MANAGE_TRUSTED_ISSUERS)


def _url(owner: Routable, page: str = "s", **kwargs: Any) -> str:
    name = f"trusted_issuers:{owners.noun(owner)}_trusted_issuer{page}"
    return reverse(name, kwargs={"path": owner.full_path, **kwargs})


def _frame(request: HttpRequest, owner: Routable, *crumbs: str) -> dict[str, Any]:
    links: list[Crumb] = [("Trusted issuers", _url(owner) if crumbs else "")]
    links += [(crumb, "") for crumb in crumbs]
    return owners.frame(request, owner, "trusted_issuers", *links) | {"back": _url(owner)}


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """Those that hold, or with ``?state=inactive`` the others."""
    owner = _load(request, kind, path)
    inactive = request.GET.get("state") == "inactive"
    trusts = services.trusts_of(person(request), owner, active=not inactive)
    context = _frame(request, owner) | {
        "rows": [_row(owner, trust) for trust in trusts[: owners.SHOWN]],
        "inactive": inactive,
        "tabs": owners.state_tabs(_url(owner), inactive=inactive),
        "new_url": _url(owner, "_new"),
    }
    return render(request, "trusted_issuers/index.html", context)


def _row(owner: Routable, trust: TrustedIssuer) -> dict[str, Any]:
    return {
        "trust": trust,
        "actions": [SHORT[action] for action in trust.actions if action in SHORT],
        "url": _url(owner, "", pk=trust.pk),
        "revoke_url": _url(owner, "_revoke", pk=trust.pk),
    }


@signed_in
@_FORM
def new(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """A new trust; afterwards its page says how to sign in with it."""
    owner = _load(request, kind, path)
    form = TrustForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            trust = services.create(person(request), owner, **form.terms())
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, f"{trust.name} is trusted now.", tone="good")
            return redirect(_url(owner, "", pk=trust.pk))
    return render(
        request, "trusted_issuers/new.html", _frame(request, owner, "New") | {"form": form}
    )


@signed_in
@never_cache
@_FORM
def edit(request: HttpRequest, kind: str, path: str, pk: int) -> HttpResponse:
    """How to sign in with a trust, what it says, and a change of that."""
    owner = _load(request, kind, path)
    trust = services.get_for(person(request), owner, pk)
    form = TrustForm(request.POST or None, initial=initial(trust))
    if request.method == "POST" and form.is_valid():
        try:
            services.update(person(request), trust, **form.terms())
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, f"{trust.name} is saved.", tone="good")
            return redirect(_url(owner, "", pk=pk))
    return _page(request, owner, trust, form=form)


@signed_in
@never_cache
@sensitive_post_parameters("id_token")
@require_POST
def try_token(request: HttpRequest, kind: str, path: str, pk: int) -> HttpResponse:
    """What this trust makes of an ID token, without using it."""
    owner = _load(request, kind, path)
    trust = services.get_for(person(request), owner, pk)
    form = TryForm(request.POST)
    tried = None
    if form.is_valid():
        tried = services.try_token(person(request), trust, form.cleaned_data["id_token"])
        form = TryForm()
    return _page(request, owner, trust, try_form=form, tried=tried)


def _page(
    request: HttpRequest, owner: Routable, trust: TrustedIssuer, **context: Any
) -> HttpResponse:
    host = settings.CONTAINER_REGISTRY_HOST_PORT
    context = {
        "form": TrustForm(initial=initial(trust)),
        "try_form": TryForm(),
        "trust": trust,
        "login": f"docker login {host} --username {trust.username} --password-stdin",
        "actions": [SHORT[action] for action in trust.actions if action in SHORT],
        "save_url": _url(owner, "", pk=trust.pk),
        "try_url": _url(owner, "_try", pk=trust.pk),
        "revoke_url": _url(owner, "_revoke", pk=trust.pk),
        **context,
    }
    return render(
        request, "trusted_issuers/trust.html", _frame(request, owner, trust.name) | context
    )


@signed_in
@_FORM
def revoke(request: HttpRequest, kind: str, path: str, pk: int) -> HttpResponse:
    """Asks first, then trusts it no longer."""
    owner = _load(request, kind, path)
    trust = services.get_for(person(request), owner, pk)
    if request.method == "POST":
        services.revoke(person(request), trust)
        add_toast(request, f"{trust.name} is trusted no longer.")
        return redirect(_url(owner))
    context = _frame(request, owner, "Revoke") | {"trust": trust, "here": request.path}
    return render(request, "trusted_issuers/revoke.html", context)
