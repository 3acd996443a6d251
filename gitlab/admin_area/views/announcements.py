"""What stands above every page: written, changed, taken away."""

from __future__ import annotations

import datetime as dt
from typing import Any

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.http import require_http_methods, require_safe

from gitlab.broadcast_messages import services
from gitlab.broadcast_messages.models import BroadcastMessage
from gitlab.ui import form_errors
from gitlab.ui.decorators import person
from gitlab.ui.toasts import add_toast

_FORM = require_http_methods(["GET", "HEAD", "POST"])
_SHOWN = 100
_FIELDS = ("message", "level", "starts_at", "ends_at", "dismissable")


def _moment(label: str) -> forms.DateTimeField:
    widget = forms.DateTimeInput({"type": "datetime-local"}, format="%Y-%m-%dT%H:%M")
    return forms.DateTimeField(label=label, help_text="UTC", widget=widget)


class AnnouncementForm(forms.Form):
    """What is said, and from when until when."""

    message = forms.CharField(
        max_length=500, help_text="One line of plain text, above every page and for everybody."
    )
    level = forms.ChoiceField(choices=BroadcastMessage.Level.choices)
    starts_at = _moment("From")
    ends_at = _moment("Until")
    dismissable = forms.BooleanField(
        label="May be put away", required=False, help_text="By each reader, for their browser."
    )


@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The latest of them."""
    context = admin.site.each_context(request) | {
        "title": "Announcements",
        "rows": BroadcastMessage.objects.order_by("-starts_at", "-id")[:_SHOWN],
    }
    return TemplateResponse(request, "admin/announcements.html", context)


@_FORM
def new(request: HttpRequest) -> HttpResponse:
    """Another one, from now on for a day unless one says otherwise."""
    now = timezone.now().replace(second=0, microsecond=0)
    later = now + dt.timedelta(days=1)
    initial = {"starts_at": now, "ends_at": later, "level": "info", "dismissable": True}
    return _form(request, AnnouncementForm(request.POST or None, initial=initial))


@_FORM
def edit(request: HttpRequest, pk: int) -> HttpResponse:
    """One of them."""
    row = _get(pk)
    initial = {name: getattr(row, name) for name in _FIELDS}
    return _form(request, AnnouncementForm(request.POST or None, initial=initial), row)


def _form(
    request: HttpRequest, form: AnnouncementForm, row: BroadcastMessage | None = None
) -> HttpResponse:
    if request.method == "POST" and form.is_valid():
        try:
            if row is None:
                services.create(person(request), **form.cleaned_data)
            else:
                services.update(person(request), row, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            add_toast(request, "The announcement is kept; everybody sees it within half a minute.")
            return redirect("admin_area:announcements")
    context = _frame(request, "New announcement" if row is None else "Announcement")
    return TemplateResponse(request, "admin/announcement.html", context | {"form": form})


@_FORM
def delete(request: HttpRequest, pk: int) -> HttpResponse:
    """Asks, then takes it away."""
    row = _get(pk)
    if request.method == "POST":
        services.delete(person(request), row)
        add_toast(request, "The announcement is gone.")
        return redirect("admin_area:announcements")
    context = _frame(request, "Delete the announcement?") | {"row": row, "here": request.path}
    return TemplateResponse(request, "admin/announcement_delete.html", context)


def _frame(request: HttpRequest, title: str) -> dict[str, Any]:
    back = reverse("admin_area:announcements")
    return admin.site.each_context(request) | {
        "title": title,
        "crumbs": [("Announcements", back)],
        "back": back,
    }


def _get(pk: int) -> BroadcastMessage:
    row = BroadcastMessage.objects.filter(pk=pk).first() if pk < 2**63 else None
    if row is None:
        raise Http404
    return row
