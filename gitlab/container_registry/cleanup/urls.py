"""The addresses of cleanups. None where the registry is off."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, path

from gitlab.container_registry.cleanup.views import policies, runs
from gitlab.namespaces import converters  # noqa: F401  (registers full_path)

app_name = "cleanup"

_PROJECT = "<full_path:path>/-/cleanup"
_RUN = f"{_PROJECT}/<int:pk>"

urlpatterns: list[URLPattern | URLResolver] = []
if settings.CONTAINER_REGISTRY_ENABLED:
    urlpatterns = [
        path("groups/<full_path:path>/-/cleanup", policies.group, name="group"),
        path(f"{_PROJECT}/policy", policies.project, name="policy"),
        path(f"{_PROJECT}/plan", runs.plan, name="plan"),
        path(f"{_PROJECT}/images/<int:pk>/plan", runs.choose, name="choose"),
        path(f"{_RUN}/progress", runs.progress, name="progress"),
        path(f"{_RUN}/approve", runs.approve, name="approve"),
        path(f"{_RUN}/cancel", runs.cancel, name="cancel"),
        path(f"{_RUN}/undo", runs.undo, name="undo"),
        path(_RUN, runs.detail, name="run"),
        path(_PROJECT, runs.index, name="project"),
    ]
