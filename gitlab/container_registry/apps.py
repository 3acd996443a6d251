"""The Django app of container repositories."""

from django.apps import AppConfig


class ContainerRegistryConfig(AppConfig):
    """What GitLab knows of images; the client of the registry."""

    name = "gitlab.container_registry"
    label = "container_registry"
    verbose_name = "Container registry"
