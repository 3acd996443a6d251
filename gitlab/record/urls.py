"""The addresses of the record's pages."""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView

from gitlab.namespaces import converters  # noqa: F401  (registers full_path)
from gitlab.record.views import denials, events, inventory, pulls

app_name = "record"

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/audit_log", admin.site.admin_view(events.instance), name="instance"),
    path("admin/denials", admin.site.admin_view(denials.instance), name="denials"),
    path(
        "admin/inventory",
        RedirectView.as_view(url="/admin/inventory/access_tokens"),
        name="inventories",
    ),
    path("admin/inventory/<slug:key>", admin.site.admin_view(inventory.listed), name="inventory"),
    path("-/denials", denials.own, name="own_denials"),
    path("-/denials/<str:reference>", denials.one, name="denial"),
    path("<full_path:path>/-/denials", denials.project, name="project_denials"),
    path("-/user_settings/audit_log", events.own, name="own"),
    # The group's first: its address would be that of a project in a group called groups.
    path("groups/<full_path:path>/-/audit_events", events.group, name="group"),
    path("<full_path:path>/-/audit_events", events.project, name="project"),
    path("<full_path:path>/-/audit_events/pulls", pulls.project, name="project_pulls"),
]
