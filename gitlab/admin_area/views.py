"""Pages of the console that are no model's: the doctor's, the installation's cleanup policy."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods

from gitlab.container_registry.cleanup import services
from gitlab.container_registry.cleanup.forms import PolicyForm
from gitlab.doctor.examination import examine
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
