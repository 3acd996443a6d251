"""The addresses of this package's pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from gitlab.identity_providers import views

app_name = "identity_providers"

urlpatterns: list[URLPattern | URLResolver] = [
    path("users/auth/<slug:provider>", views.begin, name="begin"),
    path("users/auth/<slug:provider>/callback", views.callback, name="callback"),
]
