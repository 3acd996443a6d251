"""The addresses of this package's pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver

app_name = "container_registry"

urlpatterns: list[URLPattern | URLResolver] = []
