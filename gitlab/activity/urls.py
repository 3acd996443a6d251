"""The addresses of this package's pages."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, path

from gitlab.activity.views import activity, home, pushes
from gitlab.namespaces import converters  # noqa: F401  (registers full_path)

app_name = "activity"

urlpatterns: list[URLPattern | URLResolver] = [
    # The group's first: its address would be that of a project in a group called groups.
    path("groups/<full_path:path>/-/activity", activity.group, name="group"),
    path("<full_path:path>/-/activity", activity.project, name="project"),
    path("<full_path:path>/-/star", home.star, name="star"),
]
if settings.CONTAINER_REGISTRY_ENABLED:
    urlpatterns += [
        path("<full_path:path>/-/pushes", pushes.project, name="pushes"),
        path("<full_path:path>/-/pushes/<int:pk>", pushes.image, name="image_pushes"),
    ]
