"""The addresses of the API."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path

from gitlab.api import metadata, paths, users  # noqa: F401 - `paths` registers converters
from gitlab.api.base import Nothing

app_name = "api"

_V4: list[URLPattern | URLResolver] = [
    path("version", metadata.Version.as_view()),
    path("metadata", metadata.Metadata.as_view()),
    path("user", users.CurrentUser.as_view()),
]

urlpatterns: list[URLPattern | URLResolver] = [
    path("api/v4/", include(_V4)),
    re_path(r"^api(?:/.*)?$", Nothing.as_view()),
]
