"""Pages of invitations: for who invites, and for who has the link."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from gitlab.accounts.sign_ups import services as sign_ups
from gitlab.accounts.sign_ups.views import enter
from gitlab.accounts.views import waiting
from gitlab.invitations import services
from gitlab.invitations.forms import AcceptingSignUpForm, InviteForm
from gitlab.invitations.models import Invitation
from gitlab.namespaces.models import AccessLevel, Project, Routable
from gitlab.namespaces.policies import Ability
from gitlab.namespaces.sidebars import Crumb, url_of
from gitlab.namespaces.views import members
from gitlab.namespaces.views.listing import Orders, around, page_of, search_of
from gitlab.refusals import NotFound
from gitlab.ui import form_errors
from gitlab.ui.decorators import person, signed_in
from gitlab.ui.toasts import add_toast
from tokens.limiter import TooManyRequests

_SHOWN = 50
_ORDERS: Orders = {"email": ("email", "id")}
_FORM = require_http_methods(["GET", "HEAD", "POST"])


def _url(routable: Routable, page: str = "", pk: int | None = None) -> str:
    kind = "project" if isinstance(routable, Project) else "group"
    name = f"invitations:{kind}_{page}" if page else f"invitations:{kind}"
    at = {"path": routable.full_path} | ({} if pk is None else {"pk": pk})
    return reverse(name, kwargs=at)


def _frame(request: HttpRequest, routable: Routable, *more: Crumb) -> dict[str, Any]:
    here = _url(routable) if more else ""
    return members.frame(request, routable, ("Invitations", here), *more)


def _load(request: HttpRequest, kind: str, path: str) -> Routable:
    return members.load(request, kind, path, Ability.ADMIN_MEMBERS)


@signed_in
@_FORM
def index(request: HttpRequest, kind: str, path: str) -> HttpResponse:
    """Who is invited and has not answered, and the form that invites."""
    routable = _load(request, kind, path)
    by = person(request)
    form = InviteForm(
        members.highest_role(by, routable),
        request.POST or None,
        initial={"access_level": AccessLevel.DEVELOPER},
    )
    if request.method == "POST" and form.is_valid() and _invite(request, routable, form):
        return redirect(_url(routable))
    rows = services.invitations_of(by, routable, search=search_of(request))
    page = page_of(request, rows, _ORDERS, limit=_SHOWN)
    context = _frame(request, routable) | {
        "form": form,
        "on": services.are_on(),
        "rows": [_row(routable, one) for one in page.rows],
        "members_url": members.address(routable),
        "full_path": routable.full_path,
        "noun": kind,
        **around(request, rows, page, "invitation", _ORDERS),
    }
    return render(request, "invitations/index.html", context)


def _row(routable: Routable, invitation: Invitation) -> dict[str, Any]:
    return {
        "invitation": invitation,
        "send_url": _url(routable, "send", invitation.pk),
        "withdraw_url": _url(routable, "withdraw", invitation.pk),
    }


def _invite(request: HttpRequest, routable: Routable, form: InviteForm) -> bool:
    try:
        invitation = services.invite(person(request), routable, **form.cleaned_data)
    except ValidationError as error:
        form_errors.show(form, error)
        return False
    add_toast(request, f"An invitation to {invitation.email} is on its way.")
    return True


def _find(request: HttpRequest, routable: Routable, pk: int) -> Invitation:
    found = services.invitations_of(person(request), routable).filter(pk=pk).first()
    if found is None:
        raise NotFound("no such invitation")
    return found


@signed_in
@require_POST
def send_again(request: HttpRequest, kind: str, path: str, pk: int) -> HttpResponse:
    """Another mail; the link from before is over."""
    routable = _load(request, kind, path)
    invitation = _find(request, routable, pk)
    try:
        services.send_again(person(request), invitation)
    except ValidationError as error:
        add_toast(request, " ".join(error.messages), tone="bad")
    else:
        add_toast(request, f"Another mail to {invitation.email} is on its way.")
    return redirect(_url(routable))


@signed_in
@_FORM
def withdraw(request: HttpRequest, kind: str, path: str, pk: int) -> HttpResponse:
    """Asks first, then ends the link."""
    routable = _load(request, kind, path)
    invitation = _find(request, routable, pk)
    if request.method == "POST":
        services.withdraw(person(request), invitation)
        add_toast(request, f"{invitation.email} is no longer invited.")
        return redirect(_url(routable))
    context = _frame(request, routable, ("Withdraw", "")) | {
        "invitation": invitation,
        "title": f"Withdraw the invitation of {invitation.email}?",
        "here": request.path,
        "back": _url(routable),
        "full_path": routable.full_path,
    }
    return render(request, "invitations/withdraw.html", context)


def _over(request: HttpRequest) -> HttpResponse:
    return render(request, "invitations/over.html", status=404)


@never_cache
@_FORM
def show(request: HttpRequest, token: str) -> HttpResponse:
    """What one is invited to; POST accepts it, for who is signed in."""
    try:
        invitation = services.find(token)
    except Http404:
        return _over(request)
    trouble = ""
    if request.method == "POST" and request.user.is_authenticated:
        try:
            services.accept(token, person(request))
        except ValidationError as error:
            trouble = " ".join(error.messages)
        except Http404:
            return _over(request)
        else:
            return _welcome(request, invitation)
    here = reverse("invitations:show", args=[token])
    context = {
        "invitation": invitation,
        "role": AccessLevel(invitation.access_level).label,
        "noun": "project" if invitation.project_id else "group",
        "trouble": trouble,
        "makes_account": services.makes_account(invitation),
        "sign_in_url": f"{reverse('accounts:sign_in')}?{urlencode({'next': here})}",
        "sign_up_url": reverse("invitations:sign_up", args=[token]),
        "decline_url": reverse("invitations:decline", args=[token]),
    }
    return render(request, "invitations/show.html", context)


def _welcome(request: HttpRequest, invitation: Invitation) -> HttpResponse:
    role = AccessLevel(invitation.access_level).label
    add_toast(request, f"You are now {role} of {invitation.routable.full_path}.")
    return redirect(url_of(invitation.routable))


@never_cache
@require_POST
def decline(request: HttpRequest, token: str) -> HttpResponse:
    """Ends it, for whoever has the link."""
    user = person(request) if request.user.is_authenticated else None
    try:
        invitation = services.decline(token, user)
    except Http404:
        return _over(request)
    text = f"You have declined the invitation to {invitation.routable.full_path}."
    add_toast(request, text, tone="info")
    return redirect("home" if user else "accounts:sign_in")


@sensitive_post_parameters("password")
@never_cache
@_FORM
def sign_up(request: HttpRequest, token: str) -> HttpResponse:
    """A new account that accepts it, with the address that was invited: the mail proves it."""
    try:
        invitation = services.find(token)
    except Http404:
        return _over(request)
    if request.user.is_authenticated or not services.makes_account(invitation):
        return redirect("invitations:show", token)
    form = AcceptingSignUpForm(request.POST or None)
    wait = 0
    if request.method == "POST" and form.is_valid():
        try:
            sign_ups.count(request.META.get("REMOTE_ADDR", ""))
            user = services.sign_up(token, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        except Http404:
            return _over(request)
        except TooManyRequests as error:
            form.add_error(None, str(error))
            wait = error.retry_after
        else:
            return enter(request, user) or _welcome(request, invitation)
    context = {"form": form, "invitation": invitation, "token": token}
    return waiting(render(request, "invitations/sign_up.html", context), wait)
