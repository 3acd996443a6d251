"""The page of one's own providers, and the way to link one.

Nobody links by a link from elsewhere: else who is made to sign in at a provider as somebody else
would let that one into their account. The way begins at a page of ours, whose link to the provider
holds what only this session knows, and counts once.
"""

from __future__ import annotations

import secrets
import time
from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from gitlab.accounts.models import User
from gitlab.accounts.views import go_on
from gitlab.identity_providers.linking import services
from gitlab.namespaces.sidebars import home_frame
from gitlab.refusals import NotFound
from gitlab.ui.decorators import require_confirmation, signed_in
from gitlab.ui.toasts import add_toast

_TITLE = "Providers"
_MEANT = "identity_link"
_SECONDS = 600
"""For how long the page that begins a link may stay open."""


def _oneself(request: HttpRequest) -> User:
    assert isinstance(request.user, User)
    return request.user


def _frame(request: HttpRequest, *more: str) -> dict[str, Any]:
    here = reverse("identity_providers:own") if more else ""
    crumbs = [("Your account", ""), (_TITLE, here), *((title, "") for title in more)]
    return home_frame(request.user, "providers", *crumbs)


@signed_in
@never_cache
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """By which providers one signs in."""
    context = {**_frame(request), "rows": services.of(_oneself(request))}
    return render(request, "identity_providers/own.html", context)


@signed_in
@never_cache
@require_safe
def link(request: HttpRequest, provider: str) -> HttpResponse:
    """What linking means, and the way to the provider."""
    row = _row(request, provider)
    if row.identity is not None:
        return redirect("identity_providers:own")
    require_confirmation(request)
    token = secrets.token_urlsafe(32)
    request.session[_MEANT] = {"provider": provider, "token": token, "at": time.time()}
    where = f"{reverse('identity_providers:begin', args=[provider])}?{urlencode({'link': token})}"
    context = {**_frame(request, f"Link {row.label}"), "row": row, "where": where}
    return render(request, "identity_providers/link.html", context)


def is_meant(request: HttpRequest, provider: str) -> bool:
    """Whether somebody has come from the page that begins a link, by its own address; once."""
    kept = request.session.get(_MEANT)
    token = request.GET.get("link", "")
    if not kept or not token:
        return False
    meant = secrets.compare_digest(kept["token"].encode(), token.encode())
    if not meant or kept["provider"] != provider:
        return False
    del request.session[_MEANT]
    return bool(0 <= time.time() - kept["at"] < _SECONDS)


@signed_in
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def unlink(request: HttpRequest, provider: str) -> HttpResponse:
    """Asks, and unlinks."""
    row = _row(request, provider)
    if row.identity is None:
        return redirect("identity_providers:own")
    if request.method == "POST":
        require_confirmation(request)
        try:
            key = request.session.session_key
            services.unlink(_oneself(request), row.identity.pk, this_session=key)
        except NotFound:
            raise Http404 from None
        except ValidationError as error:
            add_toast(request, " ".join(error.messages), tone="bad")
        else:
            user = _oneself(request)
            user.refresh_from_db()
            go_on(request, user)
            add_toast(request, f"{row.label} is unlinked. Other sessions have ended.")
        return redirect("identity_providers:own")
    context = {**_frame(request, f"Unlink {row.label}"), "row": row}
    return render(request, "identity_providers/unlink.html", context)


def _row(request: HttpRequest, provider: str) -> services.Row:
    """A provider; of directories there is no page."""
    rows = services.of(_oneself(request))
    found = next((row for row in rows if row.name == provider and not row.is_directory), None)
    if found is None:
        raise Http404
    return found
