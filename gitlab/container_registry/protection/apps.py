"""The Django app of protection rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.apps import AppConfig

if TYPE_CHECKING:
    from gitlab.namespaces.models import Project
    from gitlab.principals import Person


class ProtectionConfig(AppConfig):
    """Who may push and delete which images and tags."""

    name = "gitlab.container_registry.protection"
    label = "protection"
    verbose_name = "Protection"

    def ready(self) -> None:
        """Have the rules asked before a project goes with its images."""
        from gitlab.namespaces import services

        services.BEFORE_DELETION.append(_ask_the_rules)


def _ask_the_rules(by: Person, project: Project) -> None:
    # Not before it is asked: it brings the client of the registry along, at each start.
    from gitlab.container_registry.protection import guard

    guard.require_project_may_go(by, project)
