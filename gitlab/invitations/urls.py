"""The addresses of this package's pages; those of a link are GitLab's."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from gitlab.invitations import views
from gitlab.namespaces import converters  # noqa: F401  (registers full_path)

app_name = "invitations"

_GROUP = "groups/<full_path:path>/-/group_members/invitations"
_PROJECT = "<full_path:path>/-/project_members/invitations"
_OF_GROUP = {"kind": "group"}
_OF_PROJECT = {"kind": "project"}

urlpatterns: list[URLPattern | URLResolver] = [
    path("-/invites/<slug:token>", views.show, name="show"),
    path("-/invites/<slug:token>/decline", views.decline, name="decline"),
    path("-/invites/<slug:token>/sign_up", views.sign_up, name="sign_up"),
    # The group's first: its address would be that of a project in a group called groups.
    path(_GROUP, views.index, _OF_GROUP, name="group"),
    path(f"{_GROUP}/<int:pk>/send", views.send_again, _OF_GROUP, name="group_send"),
    path(f"{_GROUP}/<int:pk>/withdraw", views.withdraw, _OF_GROUP, name="group_withdraw"),
    path(_PROJECT, views.index, _OF_PROJECT, name="project"),
    path(f"{_PROJECT}/<int:pk>/send", views.send_again, _OF_PROJECT, name="project_send"),
    path(f"{_PROJECT}/<int:pk>/withdraw", views.withdraw, _OF_PROJECT, name="project_withdraw"),
]
