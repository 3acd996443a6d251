"""The addresses of this package's pages."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path
from django.views.generic import RedirectView

from gitlab.accounts import views
from gitlab.accounts.active_sessions import views as session_views
from gitlab.accounts.sign_ups import views as sign_up_views

app_name = "accounts"

urlpatterns: list[URLPattern | URLResolver] = [
    path("users/sign_in", views.sign_in, name="sign_in"),
    path("users/sign_out", views.sign_out, name="sign_out"),
    path("users/sign_up", sign_up_views.sign_up, name="sign_up"),
    path("users/sign_up/<str:token>", sign_up_views.sign_up_by_link, name="sign_up_by_link"),
    path("-/user_settings/profile", views.profile, name="profile"),
    path("-/user_settings/password", views.password, name="password"),
    path("-/user_settings/active_sessions", session_views.index, name="sessions"),
    path("-/user_settings/active_sessions/end", session_views.end_all, name="end_sessions"),
    path(
        "-/user_settings/active_sessions/<int:session_id>/end",
        session_views.end,
        name="end_session",
    ),
    # GitLab's address.
    path("-/profile/two_factor_auth", RedirectView.as_view(pattern_name="mfa_index")),
]
