"""The addresses of this package's pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from gitlab.identity_providers import views
from gitlab.identity_providers.linking import views as own

app_name = "identity_providers"

urlpatterns: list[URLPattern | URLResolver] = [
    path("-/user_settings/providers", own.index, name="own"),
    path("-/user_settings/providers/<slug:provider>/link", own.link, name="link"),
    path("-/user_settings/providers/<slug:provider>/unlink", own.unlink, name="unlink"),
    path("users/auth/<slug:provider>", views.begin, name="begin"),
    path("users/auth/<slug:provider>/callback", views.callback, name="callback"),
]
