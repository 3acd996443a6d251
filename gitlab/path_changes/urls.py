"""The addresses of this package's pages."""

from __future__ import annotations

from django.urls import path

from gitlab.namespaces import converters  # noqa: F401  (registers full_path)
from gitlab.path_changes import views

app_name = "path_changes"

urlpatterns = [
    path("groups/<full_path:path>/-/path", views.group_path, name="group"),
    path("groups/<full_path:path>/-/transfer", views.group_transfer, name="group_transfer"),
    path("<full_path:path>/-/path", views.project_path, name="project"),
    path("<full_path:path>/-/transfer", views.project_transfer, name="transfer"),
]
