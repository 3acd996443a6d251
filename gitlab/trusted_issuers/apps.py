"""The Django app of trusted issuers."""

from django.apps import AppConfig


class TrustedIssuersConfig(AppConfig):
    """Whose ID tokens a project or group trusts."""

    name = "gitlab.trusted_issuers"
    label = "trusted_issuers"
    verbose_name = "Trusted issuers"
