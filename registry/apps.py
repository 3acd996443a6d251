"""The Django app of the registry."""

from django.apps import AppConfig

from registry import memory


class RegistryConfig(AppConfig):
    """OCI distribution 1.1 and docker v2, with a database and a store of its own."""

    name = "registry"
    label = "registry"
    verbose_name = "Container registry"

    def ready(self) -> None:
        """Before the first request of a process that serves any."""
        memory.give_back()
