"""The console's short address, which the frame links to, and Django's pages that we have
already.
"""

from __future__ import annotations

from django.contrib import admin
from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView

from gitlab.admin_area.views import (
    announcements,
    groups,
    images,
    people,
    projects,
    tokens,
    tools,
)

app_name = "admin_area"

_BEFORE: list[tuple[str, str, dict[str, str]]] = [
    ("accounts/user", "people", {}),
    ("namespaces/project", "projects", {}),
    ("namespaces/namespace", "groups", {}),
    ("container_registry/containerrepository", "images", {}),
    ("access_tokens/personalaccesstoken", "tokens_of", {"kind": "access"}),
    ("access_tokens/deploytoken", "tokens_of", {"kind": "deploy"}),
    ("access_tokens/runner", "tokens_of", {"kind": "runners"}),
]
"""Where lists were before, and the page that each leads to now."""


def _moved() -> list[URLPattern]:
    return [
        path(f"admin/{before}/", RedirectView.as_view(pattern_name=f"admin_area:{page}"), given)
        for before, page, given in _BEFORE
    ]


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
    path("admin/groups/", admin.site.admin_view(groups.index), name="groups"),
    path("admin/groups/-/<slug:key>", admin.site.admin_view(groups.acting), name="groups_act"),
    path("admin/images/", admin.site.admin_view(images.index), name="images"),
    path("admin/images/-/<slug:key>", admin.site.admin_view(images.acting), name="images_act"),
    path(
        "admin/tokens/",
        RedirectView.as_view(pattern_name="admin_area:tokens_of"),
        {"kind": "access"},
        name="tokens",
    ),
    path("admin/tokens/<slug:kind>/", admin.site.admin_view(tokens.index), name="tokens_of"),
    path(
        "admin/tokens/<slug:kind>/-/<slug:key>",
        admin.site.admin_view(tokens.acting),
        name="tokens_act",
    ),
    *_moved(),
    path(
        "admin/password_change/",
        RedirectView.as_view(pattern_name="accounts:password", query_string=True),
    ),
]
