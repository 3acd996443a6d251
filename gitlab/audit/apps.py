"""The Django app of audit events."""

from django.apps import AppConfig


class AuditConfig(AppConfig):
    """What happened, by whom, from where."""

    name = "gitlab.audit"
    label = "audit"
    verbose_name = "Audit"

    def ready(self) -> None:
        """Have sign-ins recorded."""
        from gitlab.audit import middleware

        middleware.listen()
