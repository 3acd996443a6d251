"""Pages of the console that are no model's: the doctor's."""

from __future__ import annotations

from django.conf import settings
from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.views.decorators.http import require_http_methods

from gitlab.doctor.examination import examine


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
