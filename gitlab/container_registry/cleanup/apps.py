"""The Django app of cleanups."""

from django.apps import AppConfig


class CleanupConfig(AppConfig):
    """Which tags go by themselves: policies, plans and runs."""

    name = "gitlab.container_registry.cleanup"
    label = "cleanup"
    verbose_name = "Cleanup"
