"""The Django app of the token server: one URL, one command, the limiter's rows."""

from django.apps import AppConfig


class TokensConfig(AppConfig):
    """What a token says, how it is signed, how it is checked."""

    name = "tokens"
    label = "tokens"
    verbose_name = "Registry tokens"
