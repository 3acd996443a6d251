"""The addresses of this package's pages. None where the registry is off."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, path

from gitlab.namespaces import converters  # noqa: F401  (registers full_path)
from gitlab.quotas.views import storage

app_name = "quotas"

urlpatterns: list[URLPattern | URLResolver] = []
if settings.CONTAINER_REGISTRY_ENABLED:
    # The group's first: its address would be that of a project in a group called groups.
    urlpatterns = [
        path("groups/<full_path:path>/-/storage", storage.storage, {"kind": "group"}, name="group"),
        path("<full_path:path>/-/storage/<int:pk>", storage.image, name="image"),
        path("<full_path:path>/-/storage", storage.storage, {"kind": "project"}, name="project"),
    ]
