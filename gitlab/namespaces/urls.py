"""The addresses of this package's pages, as GitLab's. The page at a path comes last."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from gitlab.namespaces import converters  # noqa: F401  (registers full_path)
from gitlab.namespaces.views import creation, group_links, lists, members, overview, settings

app_name = "namespaces"

_GROUP = "groups/<full_path:path>/-"
_PROJECT = "<full_path:path>"
_OF_GROUP = {"kind": "group"}
_OF_PROJECT = {"kind": "project"}

urlpatterns: list[URLPattern | URLResolver] = [
    path("dashboard/projects", lists.home, name="projects"),
    path("dashboard/groups", lists.groups, name="groups"),
    path("explore/projects", lists.explore, name="explore"),
    path("projects/new", creation.project_new, name="project_new"),
    path("groups/new", creation.group_new, name="group_new"),
    path(f"{_GROUP}/edit", settings.group_edit, name="group_edit"),
    path(f"{_GROUP}/delete", settings.group_delete, name="group_delete"),
    path(f"{_GROUP}/group_members", members.index, _OF_GROUP, name="group_members"),
    path(
        f"{_GROUP}/group_members/<segment:username>/edit",
        members.edit,
        _OF_GROUP,
        name="group_member_edit",
    ),
    path(
        f"{_GROUP}/group_members/<segment:username>/remove",
        members.remove,
        _OF_GROUP,
        name="group_member_remove",
    ),
    path(f"{_GROUP}/group_links/new", group_links.new, _OF_GROUP, name="group_link_new"),
    path(
        f"{_GROUP}/group_links/<int:pk>/remove",
        group_links.remove,
        _OF_GROUP,
        name="group_link_remove",
    ),
    path("groups/<full_path:path>", overview.group_address),
    path(f"{_PROJECT}/-/archive", settings.project_archive, name="project_archive"),
    path(f"{_PROJECT}/-/delete", settings.project_delete, name="project_delete"),
    path(f"{_PROJECT}/-/project_members", members.index, _OF_PROJECT, name="project_members"),
    path(
        f"{_PROJECT}/-/project_members/<segment:username>/edit",
        members.edit,
        _OF_PROJECT,
        name="project_member_edit",
    ),
    path(
        f"{_PROJECT}/-/project_members/<segment:username>/remove",
        members.remove,
        _OF_PROJECT,
        name="project_member_remove",
    ),
    path(f"{_PROJECT}/-/group_links/new", group_links.new, _OF_PROJECT, name="project_link_new"),
    path(
        f"{_PROJECT}/-/group_links/<int:pk>/remove",
        group_links.remove,
        _OF_PROJECT,
        name="project_link_remove",
    ),
    path(f"{_PROJECT}/edit", settings.project_edit, name="project_edit"),
    path(_PROJECT, overview.overview, name="overview"),
    path(f"{_PROJECT}/", overview.without_slash),
]
