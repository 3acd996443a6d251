"""The Django app of what is known of storage."""

from django.apps import AppConfig


class StorageConfig(AppConfig):
    """Where the bytes are: measured by a job, shown by the pages."""

    name = "gitlab.storage"
    label = "storage"
    verbose_name = "Storage"
