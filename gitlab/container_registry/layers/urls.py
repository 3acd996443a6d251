"""The addresses of the files of images. None where the registry is off."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, path

from gitlab.container_registry import converters  # noqa: F401  (registers digest)
from gitlab.container_registry.layers import views
from gitlab.namespaces import converters as paths  # noqa: F401  (registers full_path)

app_name = "layers"

_FILES = "<full_path:path>/container_registry/<int:pk>/files/<digest:digest>"

urlpatterns: list[URLPattern | URLResolver] = []
if settings.CONTAINER_REGISTRY_ENABLED:
    urlpatterns = [
        path(_FILES, views.files, name="files"),
        path(f"{_FILES}/list", views.list_files, name="list"),
        path(f"{_FILES}/progress", views.progress, name="progress"),
    ]
