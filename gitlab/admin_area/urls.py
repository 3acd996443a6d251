"""The console's short address, which the frame links to, and Django's pages that we have
already.
"""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView

from gitlab.admin_area.views import announcements, people, projects, tools

app_name = "admin_area"

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin", RedirectView.as_view(pattern_name="admin:index", query_string=True), name="home"),
    path("admin/cleanup_policy/", admin.site.admin_view(tools.cleanup), name="cleanup"),
    path("admin/doctor/", admin.site.admin_view(tools.doctor), name="doctor"),
    path("admin/mail/", admin.site.admin_view(tools.mail), name="mail"),
    path("admin/settings/", admin.site.admin_view(tools.application), name="settings"),
    path("admin/announcements/", admin.site.admin_view(announcements.index), name="announcements"),
    path(
        "admin/announcements/new",
        admin.site.admin_view(announcements.new),
        name="announcement_new",
    ),
    path(
        "admin/announcements/<int:pk>",
        admin.site.admin_view(announcements.edit),
        name="announcement",
    ),
    path(
        "admin/announcements/<int:pk>/delete",
        admin.site.admin_view(announcements.delete),
        name="announcement_delete",
    ),
    path("admin/people/", admin.site.admin_view(people.index), name="people"),
    # Nobody's name begins with a dash.
    path("admin/people/-/new", admin.site.admin_view(people.new), name="person_new"),
    path(
        "admin/people/-/<slug:key>",
        admin.site.admin_view(people.acting),
        name="people_act",
    ),
    path("admin/people/<str:username>/", admin.site.admin_view(people.one), name="person"),
    path("admin/projects/", admin.site.admin_view(projects.index), name="projects"),
    path(
        "admin/projects/-/<slug:key>",
        admin.site.admin_view(projects.acting),
        name="projects_act",
    ),
    # Where these lists were before.
    path(
        "admin/accounts/user/",
        RedirectView.as_view(pattern_name="admin_area:people"),
    ),
    path(
        "admin/namespaces/project/",
        RedirectView.as_view(pattern_name="admin_area:projects"),
    ),
    path(
        "admin/password_change/",
        RedirectView.as_view(pattern_name="accounts:password", query_string=True),
    ),
]
