"""The Django app of audit events."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """What happened, by whom, from where."""

    name = "gitlab.audit"
    label = "audit"
    verbose_name = "Audit"
