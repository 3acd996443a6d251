"""The Django app of identity providers."""

from django.apps import AppConfig


class IdentityProvidersConfig(AppConfig):
    """By whose word people sign in, and what that gives them."""

    name = "gitlab.identity_providers"
    label = "identity_providers"
    verbose_name = "Identity providers"
