"""The Django app of protection rules."""

from django.apps import AppConfig


class ProtectionConfig(AppConfig):
    """Who may push and delete which images and tags."""

    name = "gitlab.container_registry.protection"
    label = "protection"
    verbose_name = "Protection"
