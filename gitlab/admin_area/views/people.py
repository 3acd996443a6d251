"""People: found, looked at, changed; several at once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_safe

from gitlab.accounts import services
from gitlab.accounts.models import User
from gitlab.accounts.password_resets import services as password_resets
from gitlab.admin_area import bulk, people
from gitlab.admin_area.forms import NewPersonForm, PersonForm
from gitlab.admin_area.views.acting import Chosen, act, addressed, chosen_names
from gitlab.admin_area.views.tables import asked, table
from gitlab.mail import services as mail
from gitlab.namespaces.views.listing import Orders
from gitlab.ui import form_errors
from gitlab.ui.decorators import person
from gitlab.ui.toasts import add_toast

_FORM = require_http_methods(["GET", "HEAD", "POST"])
_ORDERS: Orders = {
    "username": ("username",),
    "name": ("name", "id"),
    "created_at": ("created_at", "id"),
}
_OF_MANY = (
    "approve",
    "reject",
    "block",
    "unblock",
    "deactivate",
    "end_sessions",
    "unlock",
    "reset",
    "delete",
)


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """Everybody, by pages; those chosen are blocked, unblocked, deleted at once."""
    filters = {name: asked(request, name) for name in ("state", "role", "factor")}
    rows = people.people(search=asked(request, "q"), **filters)
    context = admin.site.each_context(request) | {
        "title": "People",
        "states": [("", "Any state"), *people.STATES],
        "roles": [("", "Any role"), *people.ROLES],
        "with_factors": [("", "Any factor"), *people.FACTORS],
        "is_filtered": any(filters.values()) or bool(asked(request, "q")),
        "actions": _addressed(_OF_MANY),
        **table(request, rows, _ORDERS, ("person", "people")),
    }
    return TemplateResponse(request, "admin/people.html", context)


def _addressed(keys: Iterable[str]) -> list[dict[str, Any]]:
    there = (key for key in keys if key != "reset" or mail.is_on())
    return addressed("people_act", bulk.PEOPLE, there)


@sensitive_post_parameters("password")
@_FORM
def new(request: HttpRequest) -> HttpResponse:
    """A new person. Without a password they get a link by mail, where mail is sent."""
    form = NewPersonForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            user = services.create_user(**form.given(), by=person(request))
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            told = ""
            if not form.cleaned_data["password"] and mail.is_on():
                password_resets.send_to(user, by=person(request))
                told = " A link to set a password is on its way."
            add_toast(request, f"{user.username} has an account.{told}")
            return redirect("admin_area:person", user.username)
    context = admin.site.each_context(request) | {
        "title": "New person",
        "crumbs": [("People", reverse("admin_area:people"))],
        "form": form,
    }
    return TemplateResponse(request, "admin/person_new.html", context)


@sensitive_post_parameters("password")
@_FORM
def one(request: HttpRequest, username: str) -> HttpResponse:
    """Somebody, with what belongs to them; what is typed changes them."""
    user = User.objects.filter(username=username.lower()).first()
    if user is None:
        raise Http404
    form = PersonForm.of(user, request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            services.administer(user, by=person(request), **form.given())
        except ValidationError as error:
            form_errors.show(form, error)
            user.refresh_from_db()
        else:
            add_toast(request, f"{user.username} was changed.")
            return redirect("admin_area:person", user.username)
    context = admin.site.each_context(request) | {
        "title": user.name,
        "crumbs": [("People", reverse("admin_area:people"))],
        "person": user,
        "form": form,
        "actions": _addressed(_fitting(user)),
        "audit_url": f"{reverse('record:instance')}?{urlencode({'actor': user.label})}",
        **people.belongings(user),
    }
    return TemplateResponse(request, "admin/person.html", context)


def _fitting(user: User) -> list[str]:
    """What can be done to somebody as they are."""
    if user.is_bot:
        return ["unblock" if user.is_blocked else "block"]
    if user.is_pending:
        return ["approve", "reject", "block"]
    if user.is_blocked:
        return ["unblock"]
    if not user.is_active:
        return ["activate", "block"]
    return ["reset", "end_sessions", "deactivate", "block"]


@_FORM
def acting(request: HttpRequest, key: str) -> HttpResponse:
    """Asks about those chosen, then does it."""
    action = bulk.PEOPLE.get(key)
    if action is None:
        raise Http404
    rows = list(User.objects.filter(username__in=chosen_names(request)).order_by("username"))
    names = [row.username for row in rows]
    back = reverse("admin_area:people")
    if len(names) == 1 and key != "delete":
        back = reverse("admin_area:person", args=names)
    return act(request, action, Chosen(rows, names, ("person", "people"), "People", back))
