"""The Django app of the record's pages."""

from django.apps import AppConfig


class RecordConfig(AppConfig):
    """Pages of what happened; the rows are the audit's."""

    name = "gitlab.record"
    label = "record"
    verbose_name = "Record"
