"""The Django app of revocations."""

from django.apps import AppConfig


class RevocationsConfig(AppConfig):
    """What ends registry tokens before their time, until the registry has been told."""

    name = "gitlab.revocations"
    label = "revocations"
    verbose_name = "Revocations"
