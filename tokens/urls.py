"""The token endpoint's one address."""

from django.urls import path

from tokens.views import TokenView

app_name = "tokens"
urlpatterns = [path("jwt/auth", TokenView.as_view(), name="auth")]
