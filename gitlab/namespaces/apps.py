"""The Django app of groups and projects."""

from django.apps import AppConfig


class NamespacesConfig(AppConfig):
    """Namespaces, projects, members, and who may do what."""

    name = "gitlab.namespaces"
    label = "namespaces"
    verbose_name = "Groups and projects"
