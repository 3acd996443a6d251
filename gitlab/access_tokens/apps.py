"""The Django app of access tokens."""

from django.apps import AppConfig


class AccessTokensConfig(AppConfig):
    """What people and machines sign in with instead of a password."""

    name = "gitlab.access_tokens"
    label = "access_tokens"
    verbose_name = "Access tokens"
