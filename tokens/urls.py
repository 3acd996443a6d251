"""The token endpoint. Scripts and realms written by hand call it with a slash at its end."""

from django.urls import path

from tokens.views import TokenView

app_name = "tokens"
urlpatterns = [
    path("jwt/auth", TokenView.as_view(), name="auth"),
    path("jwt/auth/", TokenView.as_view()),
]
