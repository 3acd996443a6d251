"""The addresses of this package's pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from gitlab.access_tokens import views

app_name = "access_tokens"

_AT = "-/user_settings/personal_access_tokens"

urlpatterns: list[URLPattern | URLResolver] = [
    path(_AT, views.index, name="index"),
    path(f"{_AT}/new", views.new, name="new"),
    path(f"{_AT}/<int:pk>/revoke", views.revoke, name="revoke"),
]
