"""The Django app of protection rules."""

from django.apps import AppConfig


class ProtectionConfig(AppConfig):
    """Who may push and delete which images and tags."""

    name = "gitlab.container_registry.protection"
    label = "protection"
    verbose_name = "Protection"

    def ready(self) -> None:
        """Have the rules asked before a project goes with its images."""
        from gitlab.container_registry.protection import guard
        from gitlab.namespaces import services

        services.BEFORE_DELETION.append(guard.require_project_may_go)
