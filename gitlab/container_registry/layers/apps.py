"""The Django app of what is in layers."""

from django.apps import AppConfig


class LayersConfig(AppConfig):
    """The files of images: listed by jobs, kept a while."""

    name = "gitlab.container_registry.layers"
    label = "layers"
    verbose_name = "Files of images"
