"""The Django app of quotas."""

from django.apps import AppConfig


class QuotasConfig(AppConfig):
    """How much may be stored below a group or project."""

    name = "gitlab.quotas"
    label = "quotas"
    verbose_name = "Quotas"
