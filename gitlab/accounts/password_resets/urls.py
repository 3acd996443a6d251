"""The addresses, by the names that allauth's flows ask for."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path, re_path

from gitlab.accounts.password_resets import views

urlpatterns: list[URLPattern | URLResolver] = [
    path("users/password/new", views.ask, name="account_reset_password"),
    re_path(
        r"^users/password/edit/(?P<uidb36>[0-9A-Za-z]{1,13})-(?P<key>[0-9A-Za-z-]{1,100})$",
        views.Reset.as_view(),
        name="account_reset_password_from_key",
    ),
]
