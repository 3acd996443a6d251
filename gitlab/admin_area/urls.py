"""The console's short address, which the frame links to, and Django's pages that we have
already.
"""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView

from gitlab.admin_area import views

app_name = "admin_area"

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin", RedirectView.as_view(pattern_name="admin:index", query_string=True), name="home"),
    path("admin/cleanup_policy/", admin.site.admin_view(views.cleanup), name="cleanup"),
    path("admin/doctor/", admin.site.admin_view(views.doctor), name="doctor"),
    path(
        "admin/password_change/",
        RedirectView.as_view(pattern_name="accounts:password", query_string=True),
    ),
]
