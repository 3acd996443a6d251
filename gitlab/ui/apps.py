"""The look of Berth as a Django app: templates, static files, tags."""

from django.apps import AppConfig


class UiConfig(AppConfig):
    """Layout, components, templates and static files that all pages share."""

    name = "gitlab.ui"
    label = "ui"
    verbose_name = "User interface"
