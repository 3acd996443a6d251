"""The page of the console that deletes somebody with what they own."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from gitlab.accounts.models import User
from gitlab.ui import form_errors
from gitlab.ui.decorators import person
from gitlab.ui.toasts import add_toast
from gitlab.user_deletion import services
from gitlab.user_deletion.forms import DeletionForm
from gitlab.user_deletion.models import UserDeletion

_SHOWN = 10


@require_http_methods(["GET", "HEAD", "POST"])
def remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Says what somebody owns, asks what becomes of it, and begins; says what is under way."""
    user = get_object_or_404(User, pk=pk, user_type=User.Type.HUMAN)
    projects, groups = services.owned(user)
    row = UserDeletion.objects.filter(user=user).select_related("heir").first()
    sent = request.POST if request.method == "POST" else None
    form = DeletionForm(sent, owns=bool(projects or groups))
    if request.method == "POST" and form.is_valid():
        try:
            waits = services.request(person(request), user, **form.cleaned_data)
        except ValidationError as error:
            form_errors.show(form, error)
        else:
            if waits is None:
                add_toast(request, f"{user.username} is deleted.")
                return redirect("admin_area:people")
            add_toast(request, f"{user.username} is blocked, and being deleted.")
            return redirect("user_deletion:ask", pk)
    context = admin.site.each_context(request) | {
        "title": f"Delete {user.username}?",
        "person": user,
        "form": form,
        "row": row,
        "projects": projects[:_SHOWN],
        "project_count": len(projects),
        "groups": groups[:_SHOWN],
        "group_count": len(groups),
        "here": request.path,
        "back": reverse("admin_area:person", args=[user.username]),
        "keep_url": reverse("user_deletion:keep", args=[pk]),
    }
    return TemplateResponse(request, "admin/user_deletion.html", context)


@require_POST
def keep(request: HttpRequest, pk: int) -> HttpResponse:
    """Stops it: what has moved or gone stays so."""
    user = get_object_or_404(User, pk=pk)
    try:
        services.cancel(person(request), user)
    except Http404:
        add_toast(request, "They are not being deleted.", tone="bad")
    else:
        add_toast(request, f"{user.username} stays, and is blocked.")
    return redirect("admin_area:person", user.username)
