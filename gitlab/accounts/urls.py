"""The addresses of this package's pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path

from gitlab.accounts import views

app_name = "accounts"

urlpatterns: list[URLPattern | URLResolver] = [
    path("users/sign_in", views.sign_in, name="sign_in"),
    path("users/sign_out", views.sign_out, name="sign_out"),
    path("users/sign_up", views.sign_up, name="sign_up"),
    path("-/user_settings/profile", views.profile, name="profile"),
    path("-/user_settings/password", views.password, name="password"),
]
