"""The doctor's page, the installation's cleanup policy, a trial of mail, and its settings."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods, require_safe

from gitlab import application_settings
from gitlab.accounts.models import User
from gitlab.container_registry.cleanup import services
from gitlab.container_registry.cleanup.forms import PolicyForm
from gitlab.doctor.examination import examine
from gitlab.mail import trial
from gitlab.ui.decorators import person
from gitlab.ui.toasts import add_toast


@require_http_methods(["GET", "POST"])
def doctor(request: HttpRequest) -> HttpResponse:
    """What is wrong between the nodes. Looked at on request: it begins an upload and waits."""
    found = examine(settings.CONFIG) if request.method == "POST" else None
    context = admin.site.each_context(request) | {
        "title": "Doctor",
        "findings": [one for one in found or [] if not one.ok],
        "passed": [one for one in found or [] if one.ok],
        "examined": found is not None,
    }
    return TemplateResponse(request, "admin/doctor.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def cleanup(request: HttpRequest) -> HttpResponse:
    """The cleanup policy of all projects that have none, and none in a group above."""
    policy = services.effective_policy(None)
    form = PolicyForm(policy, request.POST or None)
    if request.method == "POST" and form.save(person(request), None):
        add_toast(request, form.said)
        return redirect("admin_area:cleanup")
    context = admin.site.each_context(request) | {
        "title": "Cleanup policy",
        "form": form,
        "policy": policy,
        "is_own": services.is_own(policy, None),
        "whose": "all projects that have no policy of their own, nor one of a group above",
    }
    return TemplateResponse(request, "admin/cleanup.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
def mail(request: HttpRequest) -> HttpResponse:
    """How mail is sent; on request one to whoever asks, and what the mail server said."""
    answer = None
    if request.method == "POST" and settings.MAIL_ENABLED:
        assert isinstance(request.user, User)
        answer = trial.send(request.user.email, by=person(request))
    context = admin.site.each_context(request) | {
        "title": "Mail",
        "is_on": settings.MAIL_ENABLED,
        "server": f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}",
        "encryption": _encryption(),
        "signs_in_as": settings.EMAIL_HOST_USER,
        "sender": settings.DEFAULT_FROM_EMAIL,
        "answer": answer,
    }
    return TemplateResponse(request, "admin/mail.html", context)


def _encryption() -> str:
    if settings.EMAIL_USE_SSL:
        return "TLS from the first byte"
    return "STARTTLS" if settings.EMAIL_USE_TLS else "none"


@require_safe
def application(request: HttpRequest) -> HttpResponse:
    """What GitLab has as application settings, and where each is changed here."""
    context = admin.site.each_context(request) | {
        "title": "Settings",
        "settings": application_settings.listed(),
    }
    return TemplateResponse(request, "admin/settings.html", context)
