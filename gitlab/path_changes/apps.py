"""The Django app of changes of a path. Its rows are those of `namespaces`, which must know
of them.
"""

from django.apps import AppConfig


class PathChangesConfig(AppConfig):
    """Renaming and transferring: above projects and above their images, which come along."""

    name = "gitlab.path_changes"
    label = "path_changes"
