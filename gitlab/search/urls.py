"""The address of search, as GitLab's."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from gitlab.search import views

urlpatterns: list[URLPattern | URLResolver] = [path("search", views.index, name="search")]
