"""The Django app of the registry."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    """OCI distribution 1.1 and docker v2, with a database and a store of its own."""

    name = "registry"
    label = "registry"
    verbose_name = "Container registry"
